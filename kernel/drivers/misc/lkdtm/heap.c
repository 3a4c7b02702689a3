/* Crash points about the allocators. Mirrors Linux drivers/misc/lkdtm/heap.c. */
#include "lkdtm.h"

static struct kmem_cache *double_free_cache, *a_cache, *b_cache;
/* Not a constant to the compiler, or it would refuse. */
static volatile int __offset = 1;

static noinline void lkdtm_VMALLOC_LINEAR_OVERFLOW(void)
{
	char *one, *two;

	one = vmalloc(PAGE_SIZE);
	two = vmalloc(PAGE_SIZE);
	lk_info("Attempting vmalloc linear overflow ...\n");
	memset(one, 0xAA, PAGE_SIZE + __offset);
	vfree(two);
	vfree(one);
}

/* An overrun inside the same slab: nobody sees it, but what lies behind is damaged. */
static noinline void lkdtm_SLAB_LINEAR_OVERFLOW(void)
{
	size_t len = 1020;
	u32 *data = kmalloc(len, GFP_KERNEL);

	if (!data)
		return;
	lk_info("Attempting slab linear overflow ...\n");
	data = lkdtm_hide(data);
	data[1024 / sizeof(u32)] = 0x12345678;
	kfree(data);
}

static noinline void lkdtm_WRITE_AFTER_FREE(void)
{
	int *base, *again;
	size_t len = 1024;
	/* In the middle, away from the allocator's own link. */
	size_t offset = (len / sizeof(*base)) / 2;

	base = kmalloc(len, GFP_KERNEL);
	if (!base)
		return;
	lk_info("Allocated memory %p-%p\n", base, &base[offset * 2]);
	lk_info("Attempting bad write to freed memory at %p\n", &base[offset]);
	kfree(base);
	base = lkdtm_hide(base);
	base[offset] = 0x0abcdef0;
	again = kmalloc(len, GFP_KERNEL);
	kfree(again);
	if (again != base)
		lk_info("Hmm, didn't get the same memory range.\n");
}

static noinline void lkdtm_READ_AFTER_FREE(void)
{
	int *base, *val, saw;
	size_t len = 1024;
	size_t offset = sizeof(*base);

	base = kmalloc(len, GFP_KERNEL);
	if (!base) {
		lk_info("Unable to allocate base memory.\n");
		return;
	}
	val = kmalloc(len, GFP_KERNEL);
	if (!val) {
		lk_info("Unable to allocate val memory.\n");
		kfree(base);
		return;
	}
	*val = 0x12345678;
	base[offset] = *val;
	lk_info("Value in memory before free: %x\n", base[offset]);
	kfree(base);
	base = lkdtm_hide(base);
	lk_info("Attempting bad read from freed memory\n");
	saw = base[offset];
	if (saw != *val) {
		lk_info("Memory correctly poisoned (%x)\n", saw);
	} else {
		lk_err("FAIL: Memory was not poisoned!\n");
		lkdtm_expected_config_param("CONFIG_INIT_ON_FREE_DEFAULT_ON", "init_on_free");
	}
	kfree(val);
}

static noinline void lkdtm_WRITE_BUDDY_AFTER_FREE(void)
{
	unsigned long p = get_zeroed_page(GFP_KERNEL);

	if (!p) {
		lk_info("Unable to allocate free page\n");
		return;
	}
	lk_info("Writing to the buddy page before free\n");
	memset((void *)p, 0x3, PAGE_SIZE);
	free_page(p);
	lk_info("Attempting bad write to the buddy page after free\n");
	memset((void *)p, 0x78, PAGE_SIZE);
	/* Attempt to notice the overwrite. */
	p = get_zeroed_page(GFP_KERNEL);
	free_page(p);
}

static noinline void lkdtm_READ_BUDDY_AFTER_FREE(void)
{
	unsigned long p = get_zeroed_page(GFP_KERNEL);
	int saw, *val;
	int *base;

	if (!p) {
		lk_info("Unable to allocate free page\n");
		return;
	}
	val = kmalloc(1024, GFP_KERNEL);
	if (!val) {
		lk_info("Unable to allocate val memory.\n");
		free_page(p);
		return;
	}
	base = (int *)p;
	*val = 0x12345678;
	base[0] = *val;
	lk_info("Value in memory before free: %x\n", base[0]);
	free_page(p);
	base = lkdtm_hide(base);
	lk_info("Attempting to read from freed memory\n");
	saw = base[0];
	if (saw != *val) {
		lk_info("Memory correctly poisoned (%x)\n", saw);
	} else {
		lk_err("FAIL: Buddy page was not poisoned!\n");
		lkdtm_expected_config_param("CONFIG_INIT_ON_FREE_DEFAULT_ON", "init_on_free");
	}
	kfree(val);
}

static noinline void lkdtm_SLAB_INIT_ON_ALLOC(void)
{
	u8 *first, *val;

	first = kmalloc(512, GFP_KERNEL);
	if (!first) {
		lk_info("Unable to allocate 512 bytes the first time.\n");
		return;
	}
	memset(first, 0xAB, 512);
	kfree(first);
	val = kmalloc(512, GFP_KERNEL);
	if (!val) {
		lk_info("Unable to allocate 512 bytes the second time.\n");
		return;
	}
	if (val != first)
		lk_warn("Reallocation missed clobbered memory.\n");
	first = lkdtm_hide(val);
	for (int i = 0; i < 512; i++)
		if (first[i] == 0xAB) {
			lk_err("FAIL: Slab was not initialized\n");
			lkdtm_expected_config_param("CONFIG_INIT_ON_ALLOC_DEFAULT_ON", "init_on_alloc");
			kfree(val);
			return;
		}
	lk_info("Memory appears initialized (%x, no earlier values)\n", *first);
	kfree(val);
}

static noinline void lkdtm_BUDDY_INIT_ON_ALLOC(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0), *again;
	u8 *first;

	if (!page) {
		lk_info("Unable to allocate first free page\n");
		return;
	}
	first = page_address(page);
	memset(first, 0xAB, PAGE_SIZE);
	__free_pages(page, 0);
	again = alloc_pages(GFP_KERNEL, 0);
	if (!again) {
		lk_info("Unable to allocate second free page\n");
		return;
	}
	if (again != page)
		lk_warn("Reallocation missed clobbered memory.\n");
	first = lkdtm_hide(page_address(again));
	for (int i = 0; i < (int)PAGE_SIZE; i++)
		if (first[i] == 0xAB) {
			lk_err("FAIL: Page was not initialized\n");
			lkdtm_expected_config_param("CONFIG_INIT_ON_ALLOC_DEFAULT_ON", "init_on_alloc");
			__free_pages(again, 0);
			return;
		}
	lk_info("Memory appears initialized (%x, no earlier values)\n", *first);
	__free_pages(again, 0);
}

static noinline void lkdtm_SLAB_FREE_DOUBLE(void)
{
	int *val = kmem_cache_alloc(double_free_cache, GFP_KERNEL);

	if (!val) {
		lk_info("Unable to allocate double_free_cache memory.\n");
		return;
	}
	*(volatile int *)val = 0x12345678;
	lk_info("Attempting double slab free ...\n");
	kmem_cache_free(double_free_cache, val);
	kmem_cache_free(double_free_cache, val);
}

static noinline void lkdtm_SLAB_FREE_CROSS(void)
{
	int *val = kmem_cache_alloc(a_cache, GFP_KERNEL);

	if (!val) {
		lk_info("Unable to allocate a_cache memory.\n");
		return;
	}
	*(volatile int *)val = 0x12345679;
	lk_info("Attempting cross-cache slab free ...\n");
	kmem_cache_free(b_cache, val);
}

static noinline void lkdtm_SLAB_FREE_PAGE(void)
{
	unsigned long p = get_zeroed_page(GFP_KERNEL);

	lk_info("Attempting non-Slab slab free ...\n");
	kmem_cache_free(NULL, (void *)p);
	free_page(p);
}

void lkdtm_heap_init(void)
{
	double_free_cache = kmem_cache_create("lkdtm-heap-double_free", 64, 0, 0, NULL);
	a_cache = kmem_cache_create("lkdtm-heap-a", 64, 0, 0, NULL);
	b_cache = kmem_cache_create("lkdtm-heap-b", 64, 0, 0, NULL);
}

static const struct crashtype crashtypes[] = {
	CRASHTYPE(SLAB_LINEAR_OVERFLOW), CRASHTYPE(VMALLOC_LINEAR_OVERFLOW), CRASHTYPE(WRITE_AFTER_FREE),
	CRASHTYPE(READ_AFTER_FREE), CRASHTYPE(WRITE_BUDDY_AFTER_FREE), CRASHTYPE(READ_BUDDY_AFTER_FREE),
	CRASHTYPE(SLAB_INIT_ON_ALLOC), CRASHTYPE(BUDDY_INIT_ON_ALLOC), CRASHTYPE(SLAB_FREE_DOUBLE),
	CRASHTYPE(SLAB_FREE_CROSS), CRASHTYPE(SLAB_FREE_PAGE),
};
CRASHTYPES(heap);
