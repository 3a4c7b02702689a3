/*
 * Random work for KASAN and KFENCE, by a seed. `echo "good SEED COUNT" > /sys/kernel/debug/kasan_stress/run` allocates,
 * fills, copies, compares and frees within bounds, which nobody may report. `bad SEED COUNT` makes one bad access for
 * KASAN after the other and says before each what it is:
 *
 *   kasan_stress: NUMBER KIND ACCESS SIZE ADDRESS OBJECT
 *
 * ACCESS is Read, Write or Free (with size 0), OBJECT the slab object that the address lies in, or 0. What is written
 * out of bounds lies between the object and its slot's end, so that nothing breaks. `chance SEED COUNT`, for the tag
 * modes, reads from neighbours, whose tags are random: the numbers of those that have another one go to the log.
 * `kfence SEED COUNT` is `bad` for objects of KFENCE's pool: `kasan_stress: NUMBER KIND ADDRESS FIRST LAST`, the latter
 * two of the object. `vfree SEED SIZE` reads from an area that is gone, which is an oops.
 */
#include <linux/debugfs.h>
#include <linux/kasan.h>
#include <linux/kfence.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#define SLOTS 256
#define KMALLOC_MAX_CACHE_SIZE 4096UL
#define CACHE_SIZE 200

static u64 state;
static struct kmem_cache *cache;
static unsigned long number;

static u64 next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t below(size_t n)
{
	return (next() >> 11) % n;
}

/* Sizes spread over the powers of two. */
static size_t random_size(size_t most)
{
	size_t size = 1UL << below(13);

	size += below(size);
	return size > most ? most - below(most / 2) : size;
}

static void *hide(void *p)
{
	__asm__ volatile("" : "+r"(p));
	return p;
}

/* ---- good ---- */

struct slot { u8 *p; size_t size; u8 fill; enum { FREE, KMALLOC, VMALLOC, CACHE, PAGES } kind; };

static int check(const struct slot *slot)
{
	for (size_t i = 0; i < slot->size; i++)
		if (slot->p[i] != slot->fill)
			return -EIO;
	return 0;
}

static int release(struct slot *slot)
{
	int err = slot->p ? check(slot) : 0;

	if (slot->kind == KMALLOC)
		kfree(slot->p);
	else if (slot->kind == VMALLOC)
		vfree(slot->p);
	else if (slot->kind == CACHE)
		kmem_cache_free(cache, slot->p);
	else if (slot->kind == PAGES)
		__free_pages(virt_to_page(slot->p), 1);
	*slot = (struct slot){ 0 };
	return err;
}

static void take(struct slot *slot)
{
	struct page *page;

	slot->kind = 1 + below(16);
	slot->fill = next();
	switch (slot->kind) {
	case VMALLOC:
		slot->size = 1 + below(3 * PAGE_SIZE);
		slot->p = vmalloc(slot->size);
		break;
	case CACHE:
		slot->size = CACHE_SIZE;
		slot->p = kmem_cache_alloc(cache, GFP_KERNEL);
		break;
	case PAGES:
		slot->size = 2 * PAGE_SIZE;
		page = alloc_pages(GFP_KERNEL, 1);
		slot->p = page ? page_address(page) : NULL;
		break;
	default:
		slot->kind = KMALLOC;
		slot->size = random_size(3 * PAGE_SIZE);
		slot->p = kmalloc(slot->size, GFP_KERNEL);
	}
	if (slot->p)
		memset(slot->p, slot->fill, slot->size);
	else
		slot->kind = FREE;
}

static int good(unsigned long count)
{
	struct slot *slots = kzalloc(SLOTS * sizeof(*slots), GFP_KERNEL);
	int err = slots ? 0 : -ENOMEM;

	for (unsigned long i = 0; !err && i < count; i++) {
		struct slot *a = &slots[below(SLOTS)], *b = &slots[below(SLOTS)];

		if (!a->p)
			take(a);
		else if (below(2))
			err = release(a);
		else if (b->p && a != b) { /* part of a goes over the beginning of b, which then is a's */
			size_t n = min(a->size, b->size);

			memmove(b->p, a->p + a->size - n, n);
			if (memcmp(b->p, a->p, n))
				err = -EIO;
			memset(b->p, b->fill, n);
		} else if (a->kind == KMALLOC) {
			size_t size = random_size(2 * PAGE_SIZE);
			u8 *p = krealloc(a->p, size, GFP_KERNEL);

			if (p) {
				a->p = p;
				a->size = size;
				memset(p, a->fill, size);
			}
		}
		if (!(i & 255))
			cond_resched();
	}
	for (size_t i = 0; slots && i < SLOTS; i++)
		err = release(&slots[i]) ? -EIO : err;
	kfree(slots);
	return err;
}

/* ---- bad ---- */

static void say(const char *kind, const char *access, size_t size, const void *address, const void *object)
{
	/* the processor does not tell a report of hardware tags how much it was */
	pr_info("kasan_stress: %lu %s %s %zu %px %px\n", number, kind, access, kasan_kind == KASAN_HW_TAGS ? 0 : size, address,
		object ? kasan_reset_tag(object) : NULL);
}

static inline __attribute__((always_inline)) void touch(void *p, size_t size, bool write)
{
	switch (size) {
	case 1:
		write ? (void)(*(volatile u8 *)p = 0x41) : (void)*(volatile u8 *)p;
		return;
	case 2:
		write ? (void)(*(volatile u16 *)p = 0x4141) : (void)*(volatile u16 *)p;
		return;
	case 4:
		write ? (void)(*(volatile u32 *)p = 0x41414141) : (void)*(volatile u32 *)p;
		return;
	default:
		write ? (void)(*(volatile u64 *)p = 0x4141414141414141) : (void)*(volatile u64 *)p;
	}
}

static void access(const char *kind, void *p, size_t size, bool write, void *object)
{
	say(kind, write ? "Write" : "Read", size, p, object);
	touch(hide(p), size, write);
}

static size_t slot_size(size_t size)
{
	size_t slot = 8;

	while (slot < size)
		slot *= 2;
	return slot;
}

/* The first bad byte is at `end`: somewhere before it, at it, or up to `reach` bytes behind it. */
static char *around(char *end, size_t size, size_t reach)
{
	return end + below(reach + size) - (size - 1);
}

static void slab_right(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE), size = 1UL << below(4), room = slot_size(n) - n;
	char *p = kmalloc(n, GFP_KERNEL), *at = around(p + n, size, 8);
	bool write = below(2) && at + size <= p + n + room;

	if (p && at >= p)
		access("slab-out-of-bounds", at, size, write, p);
	kfree(p);
}

static void cache_right(void)
{
	char *p = kmem_cache_alloc(cache, GFP_KERNEL);
	size_t size = 1UL << below(4);

	access("slab-out-of-bounds", around(p + CACHE_SIZE, size, 8), size, false, p);
	kmem_cache_free(cache, p);
}

static void slab_freed(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE), size = 1UL << below(4);
	char *p = kmalloc(n, GFP_KERNEL);
	size_t at = n > size ? below(n - size) : 0, link = slot_size(n) / 2;
	/* not what KASAN and the allocator keep there: its link is in the middle, and there is no quarantine with tags */
	bool write = below(2) && at >= 16 && (at + size <= link || at >= link + 8);

	kfree(p);
	if (size <= slot_size(n))
		access("use-after-free", p + at, size, write, p);
}

static void large_right(void)
{
	size_t n = KMALLOC_MAX_CACHE_SIZE + 1 + below(4 * PAGE_SIZE), size = 1UL << below(4);
	char *p = kmalloc(n, GFP_KERNEL);

	if (p && n % PAGE_SIZE && n % PAGE_SIZE < PAGE_SIZE - 32)
		access("slab-out-of-bounds", around(p + n, size, 8), size, below(2), NULL);
	kfree(p);
}

static void large_freed(void)
{
	size_t n = KMALLOC_MAX_CACHE_SIZE + 1 + below(4 * PAGE_SIZE), size = 1UL << below(4);
	char *p = kmalloc(n, GFP_KERNEL);

	kfree(p);
	access("use-after-free", p + below(n - size), size, false, NULL);
}

static void vmalloc_right(void)
{
	size_t n = 1 + below(3 * PAGE_SIZE), size = 1UL << below(4);
	char *p = vmalloc(n);

	if (n % PAGE_SIZE && n % PAGE_SIZE < PAGE_SIZE - 32 && n >= size)
		access("vmalloc-out-of-bounds", around(p + n, size, 8), size, below(2), NULL);
	vfree(p);
}

static void pages_freed(void)
{
	unsigned int order = below(3);
	struct page *page = alloc_pages(GFP_KERNEL, order);
	size_t size = 1UL << below(4);

	__free_pages(page, order);
	access("use-after-free", (char *)page_address(page) + below((PAGE_SIZE << order) - size), size, false, NULL);
}

static void range_right(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE), room = slot_size(n) - n, more;
	char *p = kmalloc(n, GFP_KERNEL);

	if (room) {
		more = n + 1 + below(room);
		say("slab-out-of-bounds", "Write", more, p, p);
		memset(hide(p), 0, more);
	}
	kfree(p);
}

static void copy_freed(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE);
	char *from = kmalloc(n, GFP_KERNEL), *to = kmalloc(n, GFP_KERNEL);

	kfree(from);
	say("use-after-free", "Read", n, from, from);
	memcpy(hide(to), hide(from), n);
	kfree(to);
}

static void free_twice(void)
{
	char *p = hide(kmalloc(random_size(KMALLOC_MAX_CACHE_SIZE), GFP_KERNEL));

	kfree(p);
	say("double-free", "Free", 0, p, p);
	kfree(hide(p));
}

static void free_inside(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE);
	char *p = kmalloc(n, GFP_KERNEL), *at = p + 1 + below(n);

	if (n > 1 && at < p + n) {
		say("invalid-free", "Free", 0, at, p);
		kfree(hide(at));
	}
	kfree(p);
}

/* A load that may fault: KASAN comes first, then the fault, then the next instruction. */
static noinline void touch_anything(const void *p)
{
	u64 value;

#ifdef CONFIG_KASAN_COMPILER
	kasan_check_range((unsigned long)p, sizeof(value), false, (unsigned long)__builtin_return_address(0)); /* it does not look into assembly */
#endif
	__asm__ volatile("1: movq %1, %0\n2:\n.pushsection __ex_table,\"a\"\n.balign 4\n.long 1b - ., 2b - ., 0\n.popsection"
			 : "=r"(value) : "m"(*(const u64 *)p));
}

#ifdef CONFIG_KASAN_STACK
/* Red zones of the compiler's. */
static char global_array[21];

static noinline void stack_right(void)
{
	char array[13];
	size_t size = 1UL << below(4);

	access("stack-out-of-bounds", around((char *)hide(array) + sizeof(array), size, 3), size, false, NULL);
}

static noinline void alloca_right(void)
{
	size_t n = 1 + below(60), size = 1UL << below(4);
	char array[n];
	char *end = (char *)hide(array) + n;

	if (n >= size)
		access("alloca-out-of-bounds", around(end, size, 8), size, false, NULL);
}

static void global_right(void)
{
	size_t size = 1UL << below(4);

	access("global-out-of-bounds", around((char *)hide(global_array) + sizeof(global_array), size, 8), size, false, NULL);
}
#endif

static void elsewhere(void)
{
	static const char *const kinds[] = { "null-ptr-deref", "user-memory-access", "wild-memory-access" };
	size_t kind = below(3);
	u64 at = kind == 0 ? below(PAGE_SIZE) : kind == 1 ? PAGE_SIZE + (next() & 0x3fffffffffff) : 0xdead000000000000 | (next() & 0xffffffffff);

	say(kinds[kind], "Read", 8, (void *)at, NULL);
	touch_anything((const void *)at);
}

/* ---- bad for the tag modes: what differs is the tag of a whole granule, and what is free has none that is given ---- */

static char *granule_behind(char *p, size_t n)
{
	return p + ALIGN(n, KASAN_GRANULE_SIZE);
}

static void tag_slab_right(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE), size = 1UL << below(4);
	char *p = kmalloc(n, GFP_KERNEL), *end = granule_behind(p, n), *at = end - below(size);

	if (end + KASAN_GRANULE_SIZE <= p + slot_size(n))
		access("slab-out-of-bounds", at + below(2) * (size - 1), size, below(2), p);
	kfree(p);
}

static void tag_large_right(void)
{
	size_t n = KMALLOC_MAX_CACHE_SIZE + 1 + below(4 * PAGE_SIZE), size = 1UL << below(4);
	char *p = kmalloc(n, GFP_KERNEL);

	if (p && n % PAGE_SIZE && n % PAGE_SIZE < PAGE_SIZE - 48)
		access("invalid-access", granule_behind(p, n) + below(16), size, below(2), NULL);
	kfree(p);
}

static void tag_large_freed(void)
{
	size_t n = KMALLOC_MAX_CACHE_SIZE + 1 + below(4 * PAGE_SIZE), size = 1UL << below(4);
	char *p = kmalloc(n, GFP_KERNEL);

	kfree(p);
	access("invalid-access", p + below(n - size), size, false, NULL);
}

static void tag_vmalloc_right(void)
{
	size_t n = 1 + below(3 * PAGE_SIZE), size = 1UL << below(4);
	char *p = vmalloc(n);

	if (n % PAGE_SIZE && n % PAGE_SIZE < PAGE_SIZE - 48)
		access("invalid-access", granule_behind(p, n) + below(16), size, below(2), NULL);
	vfree(p);
}

static void tag_range_right(void)
{
	size_t n = random_size(KMALLOC_MAX_CACHE_SIZE), room = slot_size(n) - ALIGN(n, KASAN_GRANULE_SIZE), more;
	char *p = kmalloc(n, GFP_KERNEL);

	if (n >= 8 && (long)room > 0) {
		more = ALIGN(n, KASAN_GRANULE_SIZE) + 1 + below(room);
		say("slab-out-of-bounds", "Write", more, p, p);
		memset(hide(p), 0, more);
	}
	kfree(p);
}

static void tag_pages_freed(void)
{
	unsigned int order = below(3);
	struct page *page = alloc_pages(GFP_KERNEL, order);
	size_t size = 1UL << below(4);
	char *p = page_address(page);

	__free_pages(page, order);
	access("invalid-access", p + below((PAGE_SIZE << order) - size), size, false, NULL);
}

static int bad(unsigned long count)
{
	static void (*const kinds[])(void) = {
		slab_right, cache_right, slab_freed, large_right, large_freed, vmalloc_right, pages_freed, range_right, copy_freed, free_twice,
		free_inside, elsewhere,
#ifdef CONFIG_KASAN_STACK
		stack_right, alloca_right, global_right,
#endif
	};
	static void (*const tag_kinds[])(void) = {
		tag_slab_right, slab_freed, tag_large_right, tag_large_freed, tag_vmalloc_right, tag_pages_freed, tag_range_right, copy_freed,
		free_twice, free_inside,
	};
	bool multishot = kasan_save_enable_multi_shot();

	for (number = 0; number < count; number++) {
		if (kasan_tags())
			tag_kinds[below(ARRAY_SIZE(tag_kinds))]();
		else
			kinds[below(ARRAY_SIZE(kinds))]();
		kasan_enable_hw_tags();
		cond_resched();
	}
	kasan_restore_multi_shot(multishot);
	return 0;
}

/* The memory behind an object is its neighbour's, or nobody's. */
static int chance(unsigned long count)
{
	bool multishot = kasan_save_enable_multi_shot();
	char *objects[16];

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = kmalloc(64, GFP_KERNEL);
	for (number = 0; number < count; number++) {
		char **p = &objects[below(ARRAY_SIZE(objects))], *at;

		kfree(*p);
		*p = kmalloc(64, GFP_KERNEL);
		at = *p + 64;
		if (*(const volatile u8 *)kasan_mem_to_shadow(kasan_reset_tag(at)) != kasan_get_tag(at))
			pr_info("kasan_stress: %lu differs %px\n", number, at);
		touch(hide(at), 1, false);
		kasan_enable_hw_tags();
		cond_resched();
	}
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		kfree(objects[i]);
	kasan_restore_multi_shot(multishot);
	return 0;
}

/* ---- bad for KFENCE ---- */

static void *sample(size_t n)
{
	for (;;) {
		void *p = kmalloc(n, GFP_KERNEL);

		if (is_kfence_address(p))
			return hide(p);
		kfree(p);
		msleep(1);
	}
}

static void say_kfence(const char *kind, const char *at, const char *p, size_t n)
{
	pr_info("kasan_stress: %lu %s %px %px %px\n", number, kind, at, p, p + n - 1);
}

static int kfence(unsigned long count)
{
	for (number = 0; number < count; number++) {
		size_t n = 1 + random_size(PAGE_SIZE / 2);
		char *p = sample(n), *page = (char *)((unsigned long)p & PAGE_MASK), *at;
		bool write = below(2), left = p == page;

		switch (below(5)) {
		case 0: /* the guard page on its side */
			at = left ? p - 1 - below(32) : page + PAGE_SIZE + below(32);
			say_kfence(write ? "out-of-bounds write" : "out-of-bounds read", at, p, n);
			touch(at, 1, write);
			kfree(p);
			break;
		case 1:
			at = p + below(n);
			kfree(p);
			say_kfence(write ? "use-after-free write" : "use-after-free read", at, p, n);
			touch(hide(at), 1, write);
			break;
		case 2: /* the rest of the page, which the free looks at: to the right, or where that has no room, to the left */
			at = left || p + n < page + PAGE_SIZE ? p + n : p - 1;
			say_kfence("memory corruption", at, p, n);
			*(volatile u8 *)at ^= 0x55;
			kfree(p);
			break;
		case 3:
			kfree(p);
			say_kfence("invalid free", p, p, n);
			kfree(hide(p));
			break;
		case 4:
			at = p + 1 + below(n - 1);
			say_kfence("invalid free", at, p, n);
			kfree(hide(at));
			kfree(p);
			break;
		}
		cond_resched();
	}
	return 0;
}

/* A read of what is not mapped any more: KASAN first, then the fault. */
static noinline int vfree_read(unsigned long count)
{
	char *p = vmalloc(count);

	vfree(p);
	touch(hide(p + 16), 8, false);
	return 0;
}

static ssize_t run_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	char text[64], *at;
	unsigned long count;
	int err;

	if (n < 6 || n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[n] = 0;
	at = strchr(text, ' ');
	if (!at)
		return -EINVAL;
	*at++ = 0;
	state = (simple_strtoul(at, &at, 10) + 1) * 0x9e3779b97f4a7c15;
	count = *at == ' ' ? simple_strtoul(at + 1, NULL, 10) : 0;
	if (!strcmp(text, "good"))
		err = good(count);
	else if (!strcmp(text, "bad"))
		err = bad(count);
	else if (!strcmp(text, "vfree"))
		err = vfree_read(count);
	else if (!strcmp(text, "chance") && kasan_tags())
		err = chance(count);
	else if (!strcmp(text, "kfence") && kfence_sample_interval)
		err = kfence(count);
	else
		return -EINVAL;
	return err ? err : (ssize_t)n;
}

static const struct file_operations run_fops = { .write = run_write };
static struct dentry *directory;

static int kasan_stress_init(void)
{
	struct dentry *run;

	cache = kmem_cache_create("kasan_stress", CACHE_SIZE, 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	directory = debugfs_create_dir("kasan_stress", NULL);
	run = debugfs_create_file("run", 0200, directory, NULL, &run_fops);
	return IS_ERR(run) ? PTR_ERR(run) : 0;
}

static void kasan_stress_exit(void)
{
	debugfs_remove(directory);
	kmem_cache_destroy(cache);
}

module_init(kasan_stress_init);
module_exit(kasan_stress_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Seeded random work for KASAN and KFENCE");
