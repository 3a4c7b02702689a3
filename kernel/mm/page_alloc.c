/*
 * Physical memory: the direct map, struct page for every frame, buddy lists. Mirrors Linux mm/page_alloc.c,
 * mm/memblock.c (a bump allocator before the lists exist) and mm/sparse.c.
 */
#include <asm/processor.h>
#include <linux/boot.h>
#include <linux/fault-inject.h>
#include <linux/kasan.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/page_poison.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "kasan/shadow.h"

#define PAGE_TYPE_BUDDY (~0x80u)
#define PAGE_FLAGS_CHECK_AT_FREE                                                                                     \
	(1UL << PG_lru | 1UL << PG_locked | 1UL << PG_private | 1UL << PG_private_2 | 1UL << PG_writeback |          \
	 1UL << PG_reserved | 1UL << PG_slab | 1UL << PG_active | 1UL << PG_unevictable | 1UL << PG_mlocked)
#define PAGE_FLAGS_CHECK_AT_PREP ((1UL << __NR_PAGEFLAGS) - 1)
extern bool init_on_alloc, init_on_free;
void *high_memory;
unsigned long max_pfn, max_low_pfn, min_low_pfn = 1;
atomic_long_t _totalram_pages, vm_zone_stat[NR_VM_ZONE_STAT_ITEMS], vm_node_stat[NR_VM_NODE_STAT_ITEMS];
struct mem_section **mem_section;
static pg_data_t contig_page_data;
struct pglist_data *node_data[1];
nodemask_t node_states[NR_NODE_STATES];
struct mm_struct init_mm;
const struct trace_print_flags pageflag_names[] = {
	{ 1UL << PG_locked, "locked" }, { 1UL << PG_referenced, "referenced" }, { 1UL << PG_uptodate, "uptodate" },
	{ 1UL << PG_dirty, "dirty" }, { 1UL << PG_lru, "lru" }, { 1UL << PG_active, "active" }, { 1UL << PG_slab, "slab" },
	{ 1UL << PG_reserved, "reserved" }, { 1UL << PG_head, "head" }, { 0, NULL }
};
/* Dump tools look these up by name, so the compiler must describe them. */
enum pageflags page_flags_described = PG_slab;
enum zone_stat_item zone_stats_described = NR_FREE_PAGES;
enum node_stat_item node_stats_described = NR_FILE_PAGES;
enum node_states node_states_described = N_ONLINE;
enum migratetype migratetypes_described = MIGRATE_MOVABLE;
enum zone_type zones_described = ZONE_DMA32;

static DEFINE_SPINLOCK(zone_lock); /* of all free lists */
static unsigned long bump;

/* Behind the image, around the initrd, and in no memory but this kernel's: a crash kernel has its reservation only. */
static void *early_alloc(unsigned long size)
{
	unsigned long start = bump, end;

	size = ALIGN(size, (unsigned long)PAGE_SIZE);
	if (start < initrd_start + initrd_size && start + size > initrd_start)
		start = ALIGN(initrd_start + initrd_size, (unsigned long)PAGE_SIZE);
	end = start + size;
	for (int i = 0; i < e820_count; i++) {
		struct e820_entry *e = &e820_table[i];

		if (e->type != E820_RAM || start < e->addr || end > e->addr + e->size)
			continue;
		bump = end;
		return memset(__va(start), 0, size);
	}
	panic("%s: Failed to allocate %lu bytes", __func__, size);
}

static struct zone *zone_of(unsigned long pfn)
{
	return &contig_page_data.node_zones[pfn < 4096 ? ZONE_DMA : ZONE_DMA32];
}

/* Address of an empty table; 0 when there is no memory. Not inline: the walk below is to be short. */
static noinline unsigned long new_table(void)
{
	void *table = mem_section ? (void *)get_zeroed_page(GFP_KERNEL) : early_alloc(PAGE_SIZE);

	return table ? __pa(table) : 0;
}

/* Page table entry of a kernel or user address; tables on the way are made when asked for. */
unsigned long *pte_of(pgd_t *pgd, unsigned long addr, bool create)
{
	unsigned long *table = (unsigned long *)pgd;

	for (int shift = 39; shift > 12; shift -= 9) {
		unsigned long *entry = &table[addr >> shift & 511];

		if (*entry & _PAGE_PSE && shift < 39)
			return entry;
		if (!(*entry & _PAGE_PRESENT)) {
			unsigned long new = create ? new_table() : 0;

			if (!new)
				return NULL;
			*entry = new | _KERNPG_TABLE | (addr < TASK_SIZE ? _PAGE_USER : 0);
		}
		table = __va(*entry & PTE_PFN_MASK);
	}
	return &table[addr >> 12 & 511];
}

static void add_free(struct page *page, unsigned int order)
{
	struct zone *zone = zone_of(page_to_pfn(page));

	page->page_type = PAGE_TYPE_BUDDY;
	page->private = order;
	list_add(&page->lru, &zone->free_area[order].free_list[MIGRATE_MOVABLE]);
	zone->free_area[order].nr_free++;
}

static void del_free(struct page *page, unsigned int order)
{
	struct zone *zone = zone_of(page_to_pfn(page));

	list_del_init(&page->lru);
	zone->free_area[order].nr_free--;
	page->page_type = ~0u;
	page->private = 0;
}

static void count_free(struct zone *zone, long pages)
{
	zone->vm_stat[NR_FREE_PAGES].counter += pages;
	vm_zone_stat[NR_FREE_PAGES].counter += pages;
}

/* What is wrong with a page that should be nobody's, or NULL. */
static const char *page_bad_reason(const struct page *page, unsigned long flags)
{
	const char *bad = NULL;

	if (unlikely(page->_mapcount.counter != -1))
		bad = "nonzero mapcount";
	if (unlikely(page->mapping && !((unsigned long)page->mapping & 3)))
		bad = "non-NULL mapping";
	if (unlikely(page->_refcount.counter))
		bad = "nonzero _refcount";
	if (unlikely(page->flags & flags))
		bad = flags == PAGE_FLAGS_CHECK_AT_PREP ? "PAGE_FLAGS_CHECK_AT_PREP flag set" : "PAGE_FLAGS_CHECK_AT_FREE flag(s) set";
	return bad;
}

static noinline void bad_page(struct page *page, const char *reason)
{
	pr_alert("BUG: Bad page state in process %s  pfn:%05lx\n", current->comm, page_to_pfn(page));
	dump_page(page, reason);
	print_modules();
	dump_stack();
	page->_mapcount.counter = -1;
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
}

static bool free_pages_check(struct page *page, unsigned int order)
{
	bool good = true, compound = PageCompound(page);

	for (unsigned long i = 0; i < 1UL << order; i++) {
		const char *reason = compound && i ? NULL : page_bad_reason(page + i, PAGE_FLAGS_CHECK_AT_FREE);

		if (!reason)
			continue;
		bad_page(page + i, reason);
		good = false;
	}
	return good;
}

/* Pages from the free lists: nobody can have touched them, or they are not used. */
static bool check_new_pages(struct page *page, unsigned int order)
{
	bool good = true;

	for (unsigned long i = 0; i < 1UL << order; i++) {
		const char *reason = page_bad_reason(page + i, PAGE_FLAGS_CHECK_AT_PREP);

		if (!reason)
			continue;
		bad_page(page + i, reason);
		good = false;
	}
	kernel_unpoison_pages(page, 1 << order);
	return good;
}

static void free_one(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page);
	struct zone *zone = zone_of(pfn);

	count_free(zone, 1L << order);
	while (order < MAX_ORDER - 1) {
		unsigned long buddy = pfn ^ (1UL << order);
		struct page *other = pfn_to_page(buddy);

		if (buddy + (1UL << order) > max_pfn || zone_of(buddy) != zone || other->page_type != PAGE_TYPE_BUDDY || other->private != order)
			break;
		del_free(other, order);
		pfn &= ~(1UL << order);
		order++;
	}
	add_free(pfn_to_page(pfn), order);
}

/* Pages that belong together: any of them leads to the first, which knows how many they are. */
static void prep_compound_page(struct page *page, unsigned int order)
{
	page->flags |= 1UL << PG_head;
	page[1].compound_order = order;
	page[1].compound_nr = 1u << order;
	page[1].compound_mapcount.counter = -1;
	for (unsigned long i = 1; i < 1UL << order; i++)
		page[i].compound_head = (unsigned long)page | 1;
}

static struct page *get_page_from_freelist(gfp_t gfp, unsigned int order)
{
	unsigned long flags;

	spin_lock_irqsave(&zone_lock, flags);
	for (int z = ZONE_DMA32; z >= ZONE_DMA; z--) {
		struct zone *zone = &contig_page_data.node_zones[z];

		for (unsigned int o = order; o < MAX_ORDER; o++) {
			struct page *page;

			if (list_empty(&zone->free_area[o].free_list[MIGRATE_MOVABLE]))
				continue;
			page = list_first_entry(&zone->free_area[o].free_list[MIGRATE_MOVABLE], struct page, lru);
			del_free(page, o);
			while (o > order) {
				o--;
				add_free(page + (1UL << o), o);
			}
			count_free(zone, -(1L << order));
			if (!check_new_pages(page, order)) {
				o = order - 1; /* those stay lost; look again */
				continue;
			}
			page->_refcount.counter = 1;
			if (gfp & __GFP_COMP && order)
				prep_compound_page(page, order);
			spin_unlock_irqrestore(&zone_lock, flags);
			kasan_unpoison_pages(page, order);
			if (gfp & __GFP_ZERO || unlikely(init_on_alloc))
				__memset(page_address(page), 0, PAGE_SIZE << order);
			return page;
		}
	}
	spin_unlock_irqrestore(&zone_lock, flags);
	return NULL;
}

noinline struct page *__alloc_pages(gfp_t gfp, unsigned int order)
{
	if (WARN_ON_ONCE(order >= MAX_ORDER && !(gfp & __GFP_NOWARN)) || order >= MAX_ORDER)
		return NULL;
	struct page *page;

	if (should_fail_alloc_page(gfp, order))
		return NULL;
	for (;;) {
		page = get_page_from_freelist(gfp, order);
		if (likely(page))
			return page;
		/* Only those that may wait, in a program's own time, can have somebody killed for them. */
		if (!(gfp & __GFP_DIRECT_RECLAIM) || order > 3 || in_interrupt() || !current->mm || irqs_disabled() || !out_of_memory(gfp, order))
			break;
		schedule_timeout(1); /* the victim needs a turn to go */
	}
	if (!signal_pending(current)) /* one that is being killed for want of memory need not complain */
		warn_alloc(gfp, order);
	return NULL;
}

/* One reference less; with the last one the pages are free, unless something is wrong with them. */
noinline void __free_pages(struct page *page, unsigned int order)
{
	unsigned long flags;

	spin_lock_irqsave(&zone_lock, flags);
	if (--page->_refcount.counter || !free_pages_check(page, order)) {
		spin_unlock_irqrestore(&zone_lock, flags);
		return;
	}
	if (unlikely(init_on_free))
		__memset(page_address(page), 0, PAGE_SIZE << order);
	kernel_poison_pages(page, 1 << order);
	kasan_poison_pages(page, order);
	for (unsigned long i = 0; i < 1UL << order; i++) {
		page[i]._refcount.counter = 0;
		page[i].mapping = NULL;
		page[i].flags &= 3UL << 62 | KASANTAG_MASK << KASANTAG_PGSHIFT;
		page[i].slab_cache = NULL;
		INIT_LIST_HEAD(&page[i].lru);
	}
	free_one(page, order);
	spin_unlock_irqrestore(&zone_lock, flags);
}

void get_page(struct page *page)
{
	unsigned long flags;

	spin_lock_irqsave(&zone_lock, flags);
	page->_refcount.counter++;
	spin_unlock_irqrestore(&zone_lock, flags);
}

void free_reserved_page(struct page *page)
{
	page->flags &= ~(1UL << PG_reserved);
	page->_refcount.counter = 1;
	zone_of(page_to_pfn(page))->managed_pages.counter++;
	_totalram_pages.counter++;
	__free_pages(page, 0);
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	struct page *page = alloc_pages(gfp | __GFP_ZERO, 0);

	return page ? (unsigned long)page_address(page) : 0;
}

void free_page(unsigned long addr)
{
	if (addr)
		__free_pages(virt_to_page(addr), 0);
}

unsigned long nr_free_pages(void)
{
	return vm_zone_stat[NR_FREE_PAGES].counter;
}

noinline void vmemmap_populate(unsigned long start, unsigned long end)
{
	for (; start < end; start += PAGE_SIZE)
		*pte_of(init_top_pgt, start, true) = __pa(early_alloc(PAGE_SIZE)) | PAGE_KERNEL;
}

static bool is_usable(unsigned long pfn)
{
	unsigned long addr = pfn << PAGE_SHIFT;

	if (addr < 0x100000 || (addr >= __pa(_text) && addr < bump) || in_crashkernel(addr))
		return false;
	if (addr + PAGE_SIZE > initrd_start && addr < initrd_start + initrd_size)
		return false;
	for (int i = 0; i < e820_count; i++)
		if (e820_table[i].type == E820_RAM && addr >= e820_table[i].addr && addr + PAGE_SIZE <= e820_table[i].addr + e820_table[i].size)
			return true;
	return false;
}

/* Free pages in a row go to the lists in the largest blocks that are aligned: one by one they cost most of booting. */
static void free_run(unsigned long pfn, unsigned long pages)
{
	while (pages) {
		unsigned int order = min(__builtin_ctzl(pfn | 1UL << (MAX_ORDER - 1)), MAX_ORDER - 1);

		while (1UL << order > pages)
			order--;
		free_one(pfn_to_page(pfn), order);
		pfn += 1UL << order;
		pages -= 1UL << order;
	}
}

void mm_init(unsigned long initrd_from, unsigned long initrd_to)
{
	pg_data_t *node = &contig_page_data;
	unsigned long pfn, start = 0, run = 0;

	bump = ALIGN(__pa(_end), (unsigned long)PAGE_SIZE);
	for (int i = 0; i < e820_count; i++) {
		struct e820_entry *e = &e820_table[i];

		if (e->type == E820_RAM && e->addr + e->size <= 1UL << 30)
			max_pfn = max(max_pfn, (unsigned long)(e->addr + e->size) >> PAGE_SHIFT);
	}
	max_low_pfn = max_pfn;
	high_memory = __va(max_pfn << PAGE_SHIFT);
	reserve_crashkernel(boot_command_line, bump + (16UL << 20));
	init_mm.pgd = init_top_pgt;
	/* Every kernel PML4 slot exists before the first process copies the upper half. */
	pte_of(init_top_pgt, VMALLOC_START, true);
	vmemmap_populate(VMEMMAP_START, ALIGN(VMEMMAP_START + max_pfn * sizeof(struct page), (unsigned long)PAGE_SIZE));
	kasan_init(early_alloc);
	node_data[0] = node;
	for (int i = 0; i < NR_NODE_STATES; i++)
		node_states[i].bits[0] = 1;
	node->nr_zones = 2;
	node->node_start_pfn = 1;
	node->node_spanned_pages = max_pfn - 1;
	for (int z = 0; z < __MAX_NR_ZONES; z++) {
		static const char *const names[] = { "DMA", "DMA32", "Normal", "Movable" };
		struct zone *zone = &node->node_zones[z];

		zone->zone_pgdat = node;
		zone->name = names[z];
		for (int o = 0; o < MAX_ORDER; o++)
			for (int m = 0; m < MIGRATE_TYPES; m++)
				INIT_LIST_HEAD(&zone->free_area[o].free_list[m]);
	}
	node->node_zones[0].zone_start_pfn = 1;
	node->node_zones[0].spanned_pages = 4095;
	node->node_zones[1].zone_start_pfn = 4096;
	node->node_zones[1].spanned_pages = max_pfn - 4096;
	{
		struct mem_section **roots = early_alloc(8 * 4096);

		roots[0] = early_alloc(PAGE_SIZE);
		for (pfn = 0; pfn < max_pfn; pfn += 32768) /* present, has a map, online, early */
			roots[0][pfn >> 15].section_mem_map = VMEMMAP_START | 0xf;
		mem_section = roots;
	}
	for (pfn = 0; pfn < max_pfn; pfn++) {
		struct page *page = pfn_to_page(pfn);

		page->flags = 1UL << PG_reserved | (pfn < 4096 ? 0UL : 1UL << 62);
		page->_refcount.counter = 1;
		page->_mapcount.counter = -1;
		INIT_LIST_HEAD(&page->lru);
	}
	for (pfn = 0; pfn < max_pfn; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (!is_usable(pfn))
			continue;
		page->flags &= ~(1UL << PG_reserved);
		page->_refcount.counter = 0;
		node->node_present_pages++;
		zone_of(pfn)->present_pages++;
		zone_of(pfn)->managed_pages.counter++;
		_totalram_pages.counter++;
		kernel_poison_pages(page, 1);
		if (run == 0 || start + run != pfn) {
			free_run(start, run);
			start = pfn;
			run = 0;
		}
		run++;
	}
	free_run(start, run);
	printk("Memory: %luK/%luK available\n", nr_free_pages() * 4, max_pfn * 4);
	kmem_cache_init();
	vmalloc_init();
}
EXPORT_SYMBOL(__alloc_pages);
EXPORT_SYMBOL(__free_pages);
