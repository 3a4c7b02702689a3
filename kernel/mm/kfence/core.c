/*
 * KFENCE: every kfence.sample_interval milliseconds one slab allocation comes from the pool instead. Its object lies at
 * the beginning or the end of a page between two pages that are not there, the rest of the page holds a pattern, and
 * a freed object's page is taken away until all others were used. It is off, and has no pool, until an interval is given.
 * Mirrors Linux 6.1 mm/kfence/core.c, without its static keys: the slab allocator tests a variable.
 */
#include "kfence.h"
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/set_memory.h>

#define UNIQUE_ALLOC_STACK_DEPTH 8u
#define ALLOC_COVERED_ORDER 9
#define ALLOC_COVERED_HNUM 2
/* KFENCE_CANARY_PATTERN of eight bytes from an aligned address on. */
#define CANARY_WORD 0xadacafaea9a8abaaUL

enum kfence_counter_id {
	KFENCE_COUNTER_ALLOCATED, KFENCE_COUNTER_ALLOCS, KFENCE_COUNTER_FREES, KFENCE_COUNTER_ZOMBIES, KFENCE_COUNTER_BUGS,
	KFENCE_COUNTER_SKIP_INCOMPAT, KFENCE_COUNTER_SKIP_CAPACITY, KFENCE_COUNTER_SKIP_COVERED, KFENCE_COUNTER_COUNT
};
static long counters[KFENCE_COUNTER_COUNT];

char *__kfence_pool;
bool kfence_gate_open;
unsigned long kfence_sample_interval;
struct kfence_metadata *kfence_metadata;
static unsigned long skip_covered_thresh = 75; /* % */
static bool check_on_panic;
static bool kfence_enabled;
static struct timer_list kfence_timer;
static LIST_HEAD(kfence_freelist);
static DEFINE_RAW_SPINLOCK(kfence_freelist_lock);
/* How many living objects were allocated by each stack, by two hashes of it: a pool that fills up wants new ones. */
static int alloc_covered[1 << ALLOC_COVERED_ORDER];

static void count(enum kfence_counter_id id, long change)
{
	__atomic_fetch_add(&counters[id], change, __ATOMIC_RELAXED);
}

static u32 kfence_random(u32 below)
{
	static u64 state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) * below >> 32;
}

static unsigned long metadata_to_pageaddr(const struct kfence_metadata *meta)
{
	return (unsigned long)__kfence_pool + (meta - kfence_metadata + 1) * 2 * PAGE_SIZE;
}

/* Whose page, or guard page to the right, an address lies in; nobody's are the first two pages. */
static struct kfence_metadata *addr_to_metadata(unsigned long addr)
{
	long index;

	if (!is_kfence_address((void *)addr))
		return NULL;
	index = (long)((addr - (unsigned long)__kfence_pool) / (PAGE_SIZE * 2)) - 1;
	return index < 0 || index >= CONFIG_KFENCE_NUM_OBJECTS ? NULL : &kfence_metadata[index];
}

/*
 * Other processors may go on using what they know of a page that is taken away: an interrupt to them is not possible
 * everywhere that frees. At worst a bad access is missed.
 */
static bool kfence_protect_page(unsigned long addr, bool protect)
{
	unsigned long *pte = pte_of(init_top_pgt, addr, false);

	if (!pte || *pte & _PAGE_PSE)
		return false;
	*pte = protect ? *pte & ~_PAGE_PRESENT : *pte | _PAGE_PRESENT;
	invlpg(addr);
	return true;
}

static bool kfence_protect(unsigned long addr)
{
	return kfence_protect_page(addr & PAGE_MASK, true);
}

static bool kfence_unprotect(unsigned long addr)
{
	return kfence_protect_page(addr & PAGE_MASK, false);
}

static u32 stack_hash(const unsigned long *entries, unsigned int n)
{
	u64 hash = 0;

	for (unsigned int i = 0; i < min(n, UNIQUE_ALLOC_STACK_DEPTH); i++)
		hash = (hash ^ entries[i]) * 0x9e3779b97f4a7c15;
	return hash >> 32;
}

static void alloc_covered_add(u32 hash, int change)
{
	for (int i = 0; i < ALLOC_COVERED_HNUM; i++, hash = hash * 2654435761u + 1)
		__atomic_fetch_add(&alloc_covered[hash >> (32 - ALLOC_COVERED_ORDER)], change, __ATOMIC_RELAXED);
}

static bool alloc_covered_contains(u32 hash)
{
	for (int i = 0; i < ALLOC_COVERED_HNUM; i++, hash = hash * 2654435761u + 1)
		if (!READ_ONCE(alloc_covered[hash >> (32 - ALLOC_COVERED_ORDER)]))
			return false;
	return true;
}

static bool should_skip_covered(void)
{
	return counters[KFENCE_COUNTER_ALLOCATED] > (long)(CONFIG_KFENCE_NUM_OBJECTS * skip_covered_thresh / 100);
}

/* Without a stack: one is taken here. */
static void metadata_update_state(struct kfence_metadata *meta, enum kfence_object_state next, const unsigned long *entries, unsigned int n)
{
	struct kfence_track *track = next == KFENCE_OBJECT_FREED ? &meta->free_track : &meta->alloc_track;

	if (entries) {
		memcpy(track->stack_entries, entries, n * sizeof(*entries));
		track->num_stack_entries = n;
	} else
		track->num_stack_entries = stack_trace_save(track->stack_entries, KFENCE_STACK_DEPTH, 1);
	track->pid = current->pid;
	track->cpu = smp_processor_id();
	track->ts_nsec = sched_clock();
	WRITE_ONCE(meta->state, next);
}

static void set_canary(unsigned long from, unsigned long to)
{
	for (; from < to && from % 8; from++)
		*(u8 *)from = KFENCE_CANARY_PATTERN(from);
	for (; from + 8 <= to; from += 8)
		*(u64 *)from = CANARY_WORD;
	for (; from < to; from++)
		*(u8 *)from = KFENCE_CANARY_PATTERN(from);
}

/* Reports the first byte that is not as it was. */
static void check_canary_range(struct kfence_metadata *meta, unsigned long from, unsigned long to)
{
	while (from < to) {
		unsigned long flags;

		if (from % 8 == 0 && from + 8 <= to && *(u64 *)from == CANARY_WORD) {
			from += 8;
			continue;
		}
		if (*(u8 *)from == KFENCE_CANARY_PATTERN(from)) {
			from++;
			continue;
		}
		count(KFENCE_COUNTER_BUGS, 1);
		raw_spin_lock_irqsave(&meta->lock, flags);
		kfence_report_error(from, false, NULL, meta, KFENCE_ERROR_CORRUPTION);
		raw_spin_unlock_irqrestore(&meta->lock, flags);
		return;
	}
}

static __attribute__((always_inline)) inline void check_canary(struct kfence_metadata *meta)
{
	unsigned long page = metadata_to_pageaddr(meta);

	check_canary_range(meta, page, meta->addr);
	check_canary_range(meta, meta->addr + meta->size, page + PAGE_SIZE);
}

static noinline void *kfence_guarded_alloc(struct kmem_cache *cache, size_t size, gfp_t gfp, const unsigned long *entries, unsigned int n, u32 hash)
{
	struct kfence_metadata *meta = NULL;
	/* kmalloc() aligns powers of two to themselves, whatever the cache says */
	unsigned int align = cache->kasan_info.is_kmalloc ? max(cache->align, cache->object_size) : cache->align;
	unsigned long flags, page;

	raw_spin_lock_irqsave(&kfence_freelist_lock, flags);
	if (!list_empty(&kfence_freelist)) {
		meta = list_first_entry(&kfence_freelist, struct kfence_metadata, list);
		list_del_init(&meta->list);
	}
	raw_spin_unlock_irqrestore(&kfence_freelist_lock, flags);
	if (!meta) {
		count(KFENCE_COUNTER_SKIP_CAPACITY, 1);
		return NULL;
	}
	raw_spin_lock_irqsave(&meta->lock, flags);
	page = meta->addr = metadata_to_pageaddr(meta);
	if (meta->state == KFENCE_OBJECT_FREED)
		kfence_unprotect(page);
	if (kfence_random(2))
		meta->addr = (page + PAGE_SIZE - size) & ~(unsigned long)(align - 1);
	meta->size = size;
	meta->cache = cache;
	meta->alloc_stack_hash = hash;
	metadata_update_state(meta, KFENCE_OBJECT_ALLOCATED, entries, n);
	raw_spin_unlock_irqrestore(&meta->lock, flags);

	alloc_covered_add(hash, 1);
	virt_to_page(page)->slab_cache = cache;
	virt_to_page(page)->objects = 1;
	set_canary(page, meta->addr);
	set_canary(meta->addr + size, page + PAGE_SIZE);
	if (gfp & __GFP_ZERO || unlikely(init_on_alloc))
		memset((void *)meta->addr, 0, size);
	if (cache->ctor)
		cache->ctor((void *)meta->addr);
	count(KFENCE_COUNTER_ALLOCATED, 1);
	count(KFENCE_COUNTER_ALLOCS, 1);
	return (void *)meta->addr;
}

noinline void *__kfence_alloc(struct kmem_cache *s, size_t size, gfp_t flags)
{
	unsigned long entries[KFENCE_STACK_DEPTH];
	unsigned int n;
	u32 hash;

	if (size > PAGE_SIZE) {
		count(KFENCE_COUNTER_SKIP_INCOMPAT, 1);
		return NULL;
	}
	if (!__atomic_exchange_n(&kfence_gate_open, false, __ATOMIC_SEQ_CST) || !READ_ONCE(kfence_enabled))
		return NULL;
	n = stack_trace_save(entries, KFENCE_STACK_DEPTH, 0);
	hash = stack_hash(entries, n);
	if (should_skip_covered() && alloc_covered_contains(hash)) {
		count(KFENCE_COUNTER_SKIP_COVERED, 1);
		return NULL;
	}
	return kfence_guarded_alloc(s, size, flags, entries, n, hash);
}

static noinline void kfence_guarded_free(void *addr, struct kfence_metadata *meta, bool zombie)
{
	unsigned long flags;

	if (meta)
		raw_spin_lock_irqsave(&meta->lock, flags);
	if (!meta || meta->state != KFENCE_OBJECT_ALLOCATED || meta->addr != (unsigned long)addr) {
		count(KFENCE_COUNTER_BUGS, 1);
		kfence_report_error((unsigned long)addr, false, NULL, meta, meta ? KFENCE_ERROR_INVALID_FREE : KFENCE_ERROR_INVALID);
		if (meta)
			raw_spin_unlock_irqrestore(&meta->lock, flags);
		return;
	}
	if (meta->unprotected_page) {
		memset((void *)(meta->unprotected_page & PAGE_MASK), 0, PAGE_SIZE);
		kfence_protect(meta->unprotected_page);
		meta->unprotected_page = 0;
	}
	metadata_update_state(meta, KFENCE_OBJECT_FREED, NULL, 0);
	raw_spin_unlock_irqrestore(&meta->lock, flags);

	alloc_covered_add(meta->alloc_stack_hash, -1);
	check_canary(meta);
	/* the page goes, but what is in it can be read again after a report */
	if (!zombie && unlikely(init_on_free))
		memset(addr, 0, meta->size);
	kfence_protect((unsigned long)addr);
	count(zombie ? KFENCE_COUNTER_ZOMBIES : KFENCE_COUNTER_FREES, 1);
	if (zombie)
		return;
	raw_spin_lock_irqsave(&kfence_freelist_lock, flags);
	list_add_tail(&meta->list, &kfence_freelist);
	raw_spin_unlock_irqrestore(&kfence_freelist_lock, flags);
	count(KFENCE_COUNTER_ALLOCATED, -1);
}

static void rcu_guarded_free(struct callback_head *head)
{
	struct kfence_metadata *meta = container_of(head, struct kfence_metadata, rcu_head);

	kfence_guarded_free((void *)meta->addr, meta, false);
}

noinline void __kfence_free(void *addr)
{
	struct kfence_metadata *meta = addr_to_metadata((unsigned long)addr);

	/* readers may look at such an object until they have all been elsewhere */
	if (meta && meta->cache && unlikely(meta->cache->flags & SLAB_TYPESAFE_BY_RCU))
		call_rcu(&meta->rcu_head, rcu_guarded_free);
	else
		kfence_guarded_free(addr, meta, false);
}

void kfence_shutdown_cache(struct kmem_cache *s)
{
	if (!__kfence_pool)
		return;
	for (struct kfence_metadata *meta = kfence_metadata; meta < kfence_metadata + CONFIG_KFENCE_NUM_OBJECTS; meta++) {
		if (READ_ONCE(meta->cache) != s)
			continue;
		if (meta->state == KFENCE_OBJECT_ALLOCATED)
			kfence_guarded_free((void *)meta->addr, meta, true);
		WRITE_ONCE(meta->cache, NULL);
	}
}

size_t kfence_ksize(const void *addr)
{
	const struct kfence_metadata *meta = addr_to_metadata((unsigned long)addr);

	return meta ? meta->size : 0;
}

void *kfence_object_start(const void *addr)
{
	const struct kfence_metadata *meta = addr_to_metadata((unsigned long)addr);

	return meta ? (void *)meta->addr : NULL;
}

static struct kfence_metadata *allocated_at(unsigned long addr)
{
	struct kfence_metadata *meta = addr_to_metadata(addr);

	return meta && READ_ONCE(meta->state) == KFENCE_OBJECT_ALLOCATED ? meta : NULL;
}

bool kfence_handle_page_fault(unsigned long addr, bool is_write, struct pt_regs *regs)
{
	struct kfence_metadata *meta, *right;
	bool in_guard;
	unsigned long flags;

	if (!is_kfence_address((void *)addr))
		return false;
	if (!READ_ONCE(kfence_enabled)) /* turned off since: nothing is said */
		return kfence_unprotect(addr);
	count(KFENCE_COUNTER_BUGS, 1);
	in_guard = (addr - (unsigned long)__kfence_pool) / PAGE_SIZE % 2;
	if (in_guard) { /* of the nearer neighbour */
		meta = allocated_at(addr - PAGE_SIZE);
		right = allocated_at(addr + PAGE_SIZE);
		if (right && (!meta || addr - (meta->addr + meta->size) > right->addr - addr))
			meta = right;
	} else
		meta = addr_to_metadata(addr);
	if (!meta) {
		kfence_report_error(addr, is_write, regs, NULL, KFENCE_ERROR_INVALID);
		return kfence_unprotect(addr);
	}
	raw_spin_lock_irqsave(&meta->lock, flags);
	if (in_guard)
		meta->unprotected_page = addr;
	kfence_report_error(addr, is_write, regs, meta, in_guard ? KFENCE_ERROR_OOB : KFENCE_ERROR_UAF);
	raw_spin_unlock_irqrestore(&meta->lock, flags);
	return kfence_unprotect(addr);
}

/* ---- the pool, and turning it on and off ---- */

static void toggle_allocation_gate(struct timer_list *unused)
{
	if (!READ_ONCE(kfence_enabled))
		return;
	WRITE_ONCE(kfence_gate_open, true);
	mod_timer(&kfence_timer, jiffies + max(kfence_sample_interval * HZ / 1000, 1UL));
}

static void kfence_start(void)
{
	WRITE_ONCE(kfence_enabled, true);
	mod_timer(&kfence_timer, jiffies);
}

static int kfence_check_on_panic(struct notifier_block *nb, unsigned long action, void *data)
{
	for (struct kfence_metadata *meta = kfence_metadata; meta < kfence_metadata + CONFIG_KFENCE_NUM_OBJECTS; meta++)
		if (meta->state == KFENCE_OBJECT_ALLOCATED)
			check_canary(meta);
	return NOTIFY_DONE;
}
static struct notifier_block kfence_check_canary_notifier = { .notifier_call = kfence_check_on_panic };

/* The free list begins in random order, so that neighbours in the pool are strangers. */
static void fill_freelist(void)
{
	u8 order[CONFIG_KFENCE_NUM_OBJECTS];

	for (int i = 0; i < CONFIG_KFENCE_NUM_OBJECTS; i++) {
		int j = kfence_random(i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (int i = 0; i < CONFIG_KFENCE_NUM_OBJECTS; i++)
		list_add_tail(&kfence_metadata[order[i]].list, &kfence_freelist);
}

static int kfence_init_pool(void)
{
	struct page *pool = alloc_pages(GFP_KERNEL, __builtin_ctzl(KFENCE_POOL_SIZE / PAGE_SIZE));
	size_t size = CONFIG_KFENCE_NUM_OBJECTS * sizeof(*kfence_metadata);
	unsigned long addr;

	kfence_metadata = vmalloc(size);
	if (!pool || !kfence_metadata || set_memory_4k((unsigned long)page_address(pool), KFENCE_POOL_SIZE / PAGE_SIZE)) {
		if (pool)
			__free_pages(pool, __builtin_ctzl(KFENCE_POOL_SIZE / PAGE_SIZE));
		vfree(kfence_metadata);
		return -ENOMEM;
	}
	memset(kfence_metadata, 0, size);
	__kfence_pool = kasan_reset_tag(page_address(pool));
	kfence_protect((unsigned long)__kfence_pool);
	for (addr = (unsigned long)__kfence_pool + PAGE_SIZE; addr < (unsigned long)__kfence_pool + KFENCE_POOL_SIZE; addr += 2 * PAGE_SIZE) {
		struct kfence_metadata *meta = addr_to_metadata(addr - PAGE_SIZE);

		kfence_protect(addr);
		if (meta)
			virt_to_page(addr - PAGE_SIZE)->flags |= 1UL << PG_slab;
	}
	fill_freelist();
	timer_setup(&kfence_timer, toggle_allocation_gate, 0);
	if (check_on_panic)
		atomic_notifier_chain_register(&panic_notifier_list, &kfence_check_canary_notifier);
	return 0;
}

static int kfence_init_enable(void)
{
	if (kfence_init_pool()) {
		pr_err("kfence: %s failed\n", __func__);
		return -ENOMEM;
	}
	kfence_start();
	pr_info("kfence: initialized - using %lu bytes for %d objects at 0x%p-0x%p\n", KFENCE_POOL_SIZE, CONFIG_KFENCE_NUM_OBJECTS,
		(void *)__kfence_pool, (void *)(__kfence_pool + KFENCE_POOL_SIZE));
	return 0;
}

void kfence_init(void)
{
	if (kfence_sample_interval)
		kfence_init_enable();
}

static int sample_interval_setup(char *value)
{
	kfence_sample_interval = simple_strtoul(value, NULL, 0);
	return 1;
}
early_param("kfence.sample_interval=", sample_interval_setup);

static int covered_thresh_setup(char *value)
{
	skip_covered_thresh = simple_strtoul(value, NULL, 0);
	return 1;
}
early_param("kfence.skip_covered_thresh=", covered_thresh_setup);

static int check_on_panic_setup(char *value)
{
	check_on_panic = *value == '1' || *value == 'y' || *value == 'Y';
	return 1;
}
early_param("kfence.check_on_panic=", check_on_panic_setup);

/* ---- files ---- */

static int show_number(struct seq_file *m, void *data)
{
	seq_printf(m, "%lu\n", data == &kfence_sample_interval && !kfence_enabled ? 0 : *(unsigned long *)data);
	return 0;
}

static int show_bool(struct seq_file *m, void *data)
{
	seq_printf(m, "%c\n", *(bool *)data ? 'Y' : 'N');
	return 0;
}

static int store_number(const char *text, size_t n, void *data)
{
	char *end;
	unsigned long value = simple_strtoul(text, &end, 0);

	if (end == text || (*end && *end != '\n'))
		return -EINVAL;
	*(unsigned long *)data = value;
	return 0;
}

static int store_sample_interval(const char *text, size_t n, void *data)
{
	unsigned long value;
	int err = store_number(text, n, &value);

	if (err)
		return err;
	if (!value && READ_ONCE(kfence_enabled)) {
		pr_info("kfence: disabled\n");
		WRITE_ONCE(kfence_enabled, false);
	}
	kfence_sample_interval = value;
	if (!value || READ_ONCE(kfence_enabled))
		return 0;
	if (!__kfence_pool)
		return kfence_init_enable();
	kfence_start();
	pr_info("kfence: re-enabled\n");
	return 0;
}

static int stats_show(struct seq_file *seq, void *data)
{
	static const char *const names[KFENCE_COUNTER_COUNT] = {
		"currently allocated", "total allocations", "total frees", "zombie allocations", "total bugs",
		"skipped allocations (incompatible)", "skipped allocations (capacity)", "skipped allocations (covered)",
	};

	seq_printf(seq, "enabled: %i\n", READ_ONCE(kfence_enabled));
	for (int i = 0; i < KFENCE_COUNTER_COUNT; i++)
		seq_printf(seq, "%s: %ld\n", names[i], counters[i]);
	return 0;
}

static int objects_show(struct seq_file *seq, void *data)
{
	for (int i = 0; __kfence_pool && i < CONFIG_KFENCE_NUM_OBJECTS; i++) {
		unsigned long flags;

		raw_spin_lock_irqsave(&kfence_metadata[i].lock, flags);
		kfence_print_object(seq, &kfence_metadata[i]);
		raw_spin_unlock_irqrestore(&kfence_metadata[i].lock, flags);
		seq_printf(seq, "---------------------------------\n");
	}
	return 0;
}

static int kfence_files_init(void)
{
	static const struct text_file files[] = {
		{ "/sys/module/kfence/parameters/sample_interval", 0600, show_number, store_sample_interval, &kfence_sample_interval },
		{ "/sys/module/kfence/parameters/skip_covered_thresh", 0644, show_number, store_number, &skip_covered_thresh },
		{ "/sys/module/kfence/parameters/check_on_panic", 0444, show_bool, NULL, &check_on_panic },
		{ "/sys/kernel/debug/kfence/stats", 0444, stats_show, NULL, NULL },
		{ "/sys/kernel/debug/kfence/objects", 0400, objects_show, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		register_text_file(&files[i]);
	return 0;
}
late_initcall(kfence_files_init);
EXPORT_SYMBOL(__kfence_pool);
EXPORT_SYMBOL(kfence_sample_interval);
