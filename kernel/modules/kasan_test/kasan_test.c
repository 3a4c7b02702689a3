/*
 * The cases of Linux's KUnit suite for KASAN (6.1 mm/kasan/kasan_test.c), under its names: `insmod kasan_test.ko` runs
 * them, each in a task of its own, and says of each whether KASAN reported what it had to. The bugs are real, and some
 * of them write: on a kernel without KASAN this is a way to corrupt memory.
 */
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#define ARRAY 10
#define KMALLOC_MAX_CACHE_SIZE 4096UL
#define OPTIMIZER_HIDE_VAR(v) __asm__ volatile("" : "+r"(v))

/* Reports that KASAN has printed (mm/kasan/report.c). */
extern unsigned long kasan_report_count;
static bool failed;
/* Only generic mode knows where in a granule an object ends. */
#define IS_GENERIC (!kasan_tags())
#define OOB_TAG_OFF (IS_GENERIC ? 0 : KASAN_GRANULE_SIZE)

#define EXPECT_KASAN_FAIL(expression)                                                                                 \
	do {                                                                                                          \
		unsigned long __before = READ_ONCE(kasan_report_count);                                               \
		barrier();                                                                                            \
		expression;                                                                                           \
		kasan_check_async();                                                                                  \
		kasan_enable_hw_tags();                                                                               \
		barrier();                                                                                            \
		if (READ_ONCE(kasan_report_count) == __before) {                                                      \
			pr_err("    # %s: EXPECTATION FAILED at %s:%d\n", __func__, "kasan_test.c", __LINE__);         \
			pr_err("    KASAN failure expected in \"" #expression "\", but none occurred\n");             \
			failed = true;                                                                                \
		}                                                                                                     \
	} while (0)

/* One byte, whatever the compiler knows of the object. */
#define READ(p) ((void)*(volatile char *)(p))
#define WRITE(p) (*(volatile char *)(p) = 'x')

static void *hide(void *p)
{
	OPTIMIZER_HIDE_VAR(p);
	return p;
}
#define ALLOC(size) hide(kmalloc(size, GFP_KERNEL))

/* In the tag modes a neighbour has the same tag now and then: Linux's case then fails, ours allocates again. */
static bool same_tag_at(const char *p, long at)
{
	const char *address = (const char *)kasan_reset_tag(p) + at;

	return !IS_GENERIC && *(const volatile u8 *)kasan_mem_to_shadow(address) == kasan_get_tag(p);
}
#define ALLOC_APART(size, at)                                                                                         \
	({                                                                                                            \
		char *__p = kmalloc(size, GFP_KERNEL);                                                                \
		while (same_tag_at(__p, at)) {                                                                        \
			kfree(__p);                                                                                   \
			__p = kmalloc(size, GFP_KERNEL);                                                              \
		}                                                                                                     \
		hide(__p);                                                                                            \
	})

static noinline void kmalloc_oob_right(void)
{
	size_t size = 128 - KASAN_GRANULE_SIZE - 5;
	char *ptr = ALLOC_APART(size, 128);

	if (IS_GENERIC)
		EXPECT_KASAN_FAIL(WRITE(ptr + size));
	EXPECT_KASAN_FAIL(WRITE(ptr + size + 5));
	EXPECT_KASAN_FAIL(READ(ptr + size + KASAN_GRANULE_SIZE + 5));
	kfree(ptr);
}

static noinline void kmalloc_oob_left(void)
{
	char *ptr = ALLOC_APART(15, -1);

	EXPECT_KASAN_FAIL(READ(ptr - 1));
	kfree(ptr);
}

static noinline void kmalloc_node_oob_right(void)
{
	char *ptr = ALLOC_APART(4096, 4096);

	EXPECT_KASAN_FAIL(READ(ptr + 4096));
	kfree(ptr);
}

static noinline void kmalloc_pagealloc_oob_right(void)
{
	size_t size = KMALLOC_MAX_CACHE_SIZE + 10;
	char *ptr = ALLOC(size);

	EXPECT_KASAN_FAIL(WRITE(ptr + size + OOB_TAG_OFF));
	kfree(ptr);
}

static noinline void kmalloc_pagealloc_uaf(void)
{
	char *ptr = ALLOC(KMALLOC_MAX_CACHE_SIZE + 10);

	kfree(ptr);
	EXPECT_KASAN_FAIL(READ(ptr));
}

static noinline void kmalloc_pagealloc_invalid_free(void)
{
	char *ptr = ALLOC(KMALLOC_MAX_CACHE_SIZE + 10);

	EXPECT_KASAN_FAIL(kfree(ptr + 1));
}

/* In generic mode pages have no red zones. */
static noinline void pagealloc_oob_right(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 4);
	char *ptr;

	while (same_tag_at(page_address(page), PAGE_SIZE << 4)) {
		__free_pages(page, 4);
		page = alloc_pages(GFP_KERNEL, 4);
	}
	ptr = hide(page_address(page));
	EXPECT_KASAN_FAIL(READ(ptr + (PAGE_SIZE << 4)));
	__free_pages(page, 4);
}

static noinline void pagealloc_uaf(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 4);
	char *ptr = hide(page_address(page));

	__free_pages(page, 4);
	EXPECT_KASAN_FAIL(READ(ptr));
}

static noinline void kmalloc_large_oob_right(void)
{
	size_t size = KMALLOC_MAX_CACHE_SIZE - 256;
	char *ptr = ALLOC(size);

	EXPECT_KASAN_FAIL(WRITE(ptr + size));
	kfree(ptr);
}

static noinline void krealloc_more_oob_helper(size_t size1, size_t size2)
{
	char *ptr = ALLOC(size1);

	ptr = hide(krealloc(ptr, size2, GFP_KERNEL));
	WRITE(ptr + size1 - 1);
	WRITE(ptr + size1);
	WRITE(ptr + size2 - 1);
	if (IS_GENERIC)
		EXPECT_KASAN_FAIL(WRITE(ptr + size2));
	EXPECT_KASAN_FAIL(WRITE(ptr + ALIGN(size2, KASAN_GRANULE_SIZE)));
	kfree(ptr);
}

static noinline void krealloc_less_oob_helper(size_t size1, size_t size2)
{
	size_t middle = size2 + (size1 - size2) / 2;
	char *ptr = ALLOC(size1);

	ptr = hide(krealloc(ptr, size2, GFP_KERNEL));
	WRITE(ptr + size2 - 1);
	if (IS_GENERIC)
		EXPECT_KASAN_FAIL(WRITE(ptr + size2));
	EXPECT_KASAN_FAIL(WRITE(ptr + ALIGN(size2, KASAN_GRANULE_SIZE)));
	EXPECT_KASAN_FAIL(WRITE(ptr + middle));
	EXPECT_KASAN_FAIL(WRITE(ptr + size1 - 1));
	EXPECT_KASAN_FAIL(WRITE(ptr + size1));
	kfree(ptr);
}

static noinline void krealloc_more_oob(void) { krealloc_more_oob_helper(201, 235); }
static noinline void krealloc_less_oob(void) { krealloc_less_oob_helper(235, 201); }
static noinline void krealloc_pagealloc_more_oob(void) { krealloc_more_oob_helper(KMALLOC_MAX_CACHE_SIZE + 201, KMALLOC_MAX_CACHE_SIZE + 235); }
static noinline void krealloc_pagealloc_less_oob(void) { krealloc_less_oob_helper(KMALLOC_MAX_CACHE_SIZE + 235, KMALLOC_MAX_CACHE_SIZE + 201); }

static noinline void krealloc_uaf(void)
{
	char *ptr = ALLOC(201), *other = NULL;

	kfree(ptr);
	EXPECT_KASAN_FAIL(other = krealloc(ptr, 235, GFP_KERNEL));
	if (other)
		failed = true;
	EXPECT_KASAN_FAIL(READ(ptr));
}

/* What a compiler's check does not see is said to it (Linux: instrument_write() and its like). */
#ifdef CONFIG_KASAN_COMPILER
#define instrument(p, size, write) kasan_check_range((unsigned long)(p), size, write, (unsigned long)__builtin_extract_return_addr(here()))
static inline __attribute__((always_inline)) void *here(void)
{
	void *ip;

	__asm__ volatile("lea (%%rip), %0" : "=r"(ip));
	return ip;
}
#else
#define instrument(p, size, write) do { } while (0)
#endif

/* Sixteen bytes at once. */
static inline __attribute__((always_inline)) void copy16(void *to, const void *from)
{
	unsigned long n = 2;

	instrument(from, 16, false);
	instrument(to, 16, true);
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static noinline void kmalloc_oob_16(void)
{
	char *ptr1 = ALLOC(16 - 3), *ptr2 = hide(kzalloc(16, GFP_KERNEL));

	EXPECT_KASAN_FAIL(copy16(ptr1, ptr2));
	kfree(ptr1);
	kfree(ptr2);
}

static noinline void kmalloc_uaf_16(void)
{
	char *ptr1 = ALLOC(16), *ptr2 = ALLOC(16);

	kfree(ptr2);
	EXPECT_KASAN_FAIL(copy16(ptr1, ptr2));
	kfree(ptr1);
}

static noinline void kmalloc_oob_in_memset(void)
{
	size_t size = 128 - KASAN_GRANULE_SIZE;
	char *ptr = ALLOC(size);

	OPTIMIZER_HIDE_VAR(size);
	EXPECT_KASAN_FAIL(memset(ptr, 0, size + KASAN_GRANULE_SIZE));
	kfree(ptr);
}

/* The last bytes of what is written lie behind the object. */
static inline __attribute__((always_inline)) void oob_memset(size_t n)
{
	size_t size = 128 - KASAN_GRANULE_SIZE;
	char *ptr = ALLOC(size);

	OPTIMIZER_HIDE_VAR(size);
	OPTIMIZER_HIDE_VAR(n);
	EXPECT_KASAN_FAIL(memset(ptr + size - n + 1, 0, n));
	kfree(ptr);
}
static noinline void kmalloc_oob_memset_2(void) { oob_memset(2); }
static noinline void kmalloc_oob_memset_4(void) { oob_memset(4); }
static noinline void kmalloc_oob_memset_8(void) { oob_memset(8); }
static noinline void kmalloc_oob_memset_16(void) { oob_memset(16); }

static noinline void kmalloc_memmove_negative_size(void)
{
	size_t invalid_size = -2;
	char *ptr = ALLOC(64);

	memset(ptr, 0, 64);
	OPTIMIZER_HIDE_VAR(invalid_size);
	EXPECT_KASAN_FAIL(memmove(ptr, ptr + 4, invalid_size));
	kfree(ptr);
}

static noinline void kmalloc_memmove_invalid_size(void)
{
	size_t invalid_size = 64;
	char *ptr = ALLOC(64);

	memset(ptr, 0, 64);
	OPTIMIZER_HIDE_VAR(invalid_size);
	EXPECT_KASAN_FAIL(memmove(ptr, ptr + 4, invalid_size));
	kfree(ptr);
}

static noinline void kmalloc_uaf(void)
{
	char *ptr = ALLOC(10);

	kfree(ptr);
	EXPECT_KASAN_FAIL(READ(ptr + 8));
}

static noinline void kmalloc_uaf_memset(void)
{
	size_t size = 33;
	char *ptr = ALLOC(size);

	kfree(ptr);
	OPTIMIZER_HIDE_VAR(size);
	EXPECT_KASAN_FAIL(memset(ptr, 0, size));
}

static noinline void kmalloc_uaf2(void)
{
	char *ptr1 = ALLOC(43), *ptr2;

	kfree(ptr1);
	ptr2 = ALLOC(43);
	for (int i = 0; i < 16 && !IS_GENERIC && ptr1 == ptr2; i++) { /* the same tag by chance */
		kfree(ptr2);
		ptr2 = ALLOC(43);
	}
	EXPECT_KASAN_FAIL(READ(ptr1 + 40));
	if (ptr1 == ptr2) /* the quarantine would have been empty */
		failed = true;
	kfree(ptr2);
}

/* For the tag modes: the memory is free again, and its tag not that of the first pointer. */
static noinline void kmalloc_uaf3(void)
{
	char *ptr1 = ALLOC(100), *ptr2;

	kfree(ptr1);
	ptr2 = ALLOC(100);
	kfree(ptr2);
	EXPECT_KASAN_FAIL(READ(ptr1 + 8));
}

/* The address of an object by way of its page is the object's. */
static noinline void kfree_via_page(void)
{
	char *ptr = ALLOC(8);

	kfree((char *)page_address(virt_to_page(ptr)) + ((unsigned long)ptr & ~PAGE_MASK));
}

static noinline void kfree_via_phys(void)
{
	char *ptr = ALLOC(8);

	kfree(__va(__pa(ptr)));
}

static noinline struct kmem_cache *test_cache(void)
{
	return kmem_cache_create("test_cache", 200, 0, 0, NULL);
}

static noinline void kmem_cache_oob(void)
{
	struct kmem_cache *cache = test_cache();
	char *p = hide(kmem_cache_alloc(cache, GFP_KERNEL));

	EXPECT_KASAN_FAIL(READ(p + 200 + OOB_TAG_OFF));
	kmem_cache_free(cache, p);
	kmem_cache_destroy(cache);
}

/* Many objects, one at a time and together: nothing to report. */
static noinline void kmem_cache_accounted(void)
{
	struct kmem_cache *cache = test_cache();

	for (int i = 0; i < 5; i++) {
		char *p = kmem_cache_alloc(cache, GFP_KERNEL);

		kmem_cache_free(cache, p);
		msleep(1);
	}
	kmem_cache_destroy(cache);
}

static noinline void kmem_cache_bulk(void)
{
	struct kmem_cache *cache = test_cache();
	char *p[10];

	for (int i = 0; i < 10; i++)
		p[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	for (int i = 0; i < 10; i++)
		p[i][0] = p[i][199] = 42;
	for (int i = 0; i < 10; i++)
		kmem_cache_free(cache, p[i]);
	kmem_cache_destroy(cache);
}

#ifdef CONFIG_KASAN_STACK
static char global_array[ARRAY];

static noinline void kasan_global_oob_right(void)
{
	char *volatile array = global_array;
	char *p = &array[ARRAY + 3];

	EXPECT_KASAN_FAIL(READ(p));
}

static noinline void kasan_global_oob_left(void)
{
	char *volatile array = global_array;
	char *p = array - 3;

	EXPECT_KASAN_FAIL(READ(p));
}

static noinline void kasan_stack_oob(void)
{
	char stack_array[ARRAY];
	char *volatile array = stack_array;
	char *p = &array[ARRAY];

	EXPECT_KASAN_FAIL(READ(p));
}

static noinline void kasan_alloca_oob_left(void)
{
	volatile int i = ARRAY;
	char alloca_array[i];
	char *volatile array = alloca_array;
	char *p = array - 1;

	EXPECT_KASAN_FAIL(READ(p));
}

static noinline void kasan_alloca_oob_right(void)
{
	volatile int i = ARRAY;
	char alloca_array[i];
	char *volatile array = alloca_array;
	char *p = array + i;

	EXPECT_KASAN_FAIL(READ(p));
}
#endif

static noinline void ksize_unpoisons_memory(void)
{
	char *ptr = ALLOC_APART(123, 128);
	size_t real_size = ksize(ptr);

	OPTIMIZER_HIDE_VAR(real_size);
	WRITE(ptr);
	WRITE(ptr + 123);
	WRITE(ptr + real_size - 1);
	EXPECT_KASAN_FAIL(READ(ptr + real_size));
	kfree(ptr);
}

static noinline void ksize_uaf(void)
{
	size_t size = 128 - KASAN_GRANULE_SIZE;
	char *ptr = ALLOC(size);

	kfree(ptr);
	OPTIMIZER_HIDE_VAR(ptr);
	EXPECT_KASAN_FAIL(ksize(ptr));
	EXPECT_KASAN_FAIL(READ(ptr));
	EXPECT_KASAN_FAIL(READ(ptr + size));
}

static noinline void kmem_cache_double_free(void)
{
	struct kmem_cache *cache = test_cache();
	char *p = kmem_cache_alloc(cache, GFP_KERNEL);

	kmem_cache_free(cache, p);
	EXPECT_KASAN_FAIL(kmem_cache_free(cache, p));
	kmem_cache_destroy(cache);
}

static noinline void kmem_cache_invalid_free(void)
{
	struct kmem_cache *cache = test_cache();
	char *p = kmem_cache_alloc(cache, GFP_KERNEL);

	EXPECT_KASAN_FAIL(kmem_cache_free(cache, p + 1));
	kmem_cache_free(cache, p);
	kmem_cache_destroy(cache);
}

static noinline void kmem_cache_double_destroy(void)
{
	struct kmem_cache *cache = test_cache();

	kmem_cache_destroy(cache);
	EXPECT_KASAN_FAIL(kmem_cache_destroy(cache));
}

static noinline void kasan_memchr(void)
{
	size_t size = IS_GENERIC ? 24 : 32;
	char *ptr = ALLOC_APART(size, 32);

	memset(ptr, 0, size);
	OPTIMIZER_HIDE_VAR(size);
	EXPECT_KASAN_FAIL((void)hide(memchr(ptr, '1', size + 1)));
	kfree(ptr);
}

static noinline void kasan_memcmp(void)
{
	size_t size = IS_GENERIC ? 24 : 32;
	char *ptr = ALLOC_APART(size, 32);
	char array[64];

	memset(ptr, 0, size);
	memset(array, 0, sizeof(array));
	OPTIMIZER_HIDE_VAR(size);
	EXPECT_KASAN_FAIL(failed |= memcmp(ptr, array, size + 1) == 12345);
	kfree(ptr);
}

static noinline void kasan_strings(void)
{
	char *ptr = hide(kzalloc(24, GFP_KERNEL));
	size_t n = 1;

	kfree(ptr);
	/* the string begins in the middle, behind what the free list uses */
	ptr += 16;
	OPTIMIZER_HIDE_VAR(n);
	EXPECT_KASAN_FAIL((void)hide(strchr(ptr, '1')));
	EXPECT_KASAN_FAIL((void)hide(strrchr(ptr, '1')));
	EXPECT_KASAN_FAIL(failed |= strcmp(ptr, "2") == 12345);
	EXPECT_KASAN_FAIL(failed |= strncmp(ptr, "2", n) == 12345);
	EXPECT_KASAN_FAIL(failed |= strlen(ptr) == 12345);
	EXPECT_KASAN_FAIL(failed |= strnlen(ptr, n) == 12345);
}

/* A bit's number goes with the word's address, so that the access lies where the bit is. */
#define BITOP(name, instruction, write)                                                                                      \
	static inline __attribute__((always_inline)) void name(long nr, volatile unsigned long *addr)                 \
	{                                                                                                             \
		instrument(addr + nr / 64, sizeof(long), write);                                                      \
		__asm__ volatile(instruction " %1, %0" : "+m"(*addr) : "r"(nr) : "cc", "memory");                     \
	}
BITOP(set_bit, "lock btsq", true)
BITOP(__set_bit, "btsq", true)
BITOP(clear_bit, "lock btrq", true)
BITOP(__clear_bit, "btrq", true)
BITOP(change_bit, "lock btcq", true)
BITOP(__change_bit, "btcq", true)
BITOP(test_bit, "btq", false)

/* set, clear, change, each with and without LOCK; the release forms of clear are the same instruction on x86. */
static noinline void kasan_bitops_modify(int nr, void *addr)
{
	EXPECT_KASAN_FAIL(set_bit(nr, addr));
	EXPECT_KASAN_FAIL(__set_bit(nr, addr));
	EXPECT_KASAN_FAIL(clear_bit(nr, addr));
	EXPECT_KASAN_FAIL(__clear_bit(nr, addr));
	EXPECT_KASAN_FAIL(clear_bit(nr, addr)); /* clear_bit_unlock */
	EXPECT_KASAN_FAIL(__clear_bit(nr, addr)); /* __clear_bit_unlock */
	EXPECT_KASAN_FAIL(change_bit(nr, addr));
	EXPECT_KASAN_FAIL(__change_bit(nr, addr));
}

static noinline void kasan_bitops_test_and_modify(int nr, void *addr)
{
	EXPECT_KASAN_FAIL(set_bit(nr, addr)); /* test_and_... read the carry flag of the same instructions */
	EXPECT_KASAN_FAIL(__set_bit(nr, addr));
	EXPECT_KASAN_FAIL(set_bit(nr, addr)); /* test_and_set_bit_lock */
	EXPECT_KASAN_FAIL(clear_bit(nr, addr));
	EXPECT_KASAN_FAIL(__clear_bit(nr, addr));
	EXPECT_KASAN_FAIL(change_bit(nr, addr));
	EXPECT_KASAN_FAIL(__change_bit(nr, addr));
	EXPECT_KASAN_FAIL(test_bit(nr, addr));
	EXPECT_KASAN_FAIL(clear_bit(nr, addr)); /* clear_bit_unlock_is_negative_byte */
}

static noinline void kasan_bitops_generic(void)
{
	long *bits = hide(kzalloc(sizeof(*bits) + 1, GFP_KERNEL));

	kasan_bitops_modify(64, bits);
	kasan_bitops_test_and_modify(64 + 7, bits);
	kfree(bits);
}

/* The last 16 bytes of kmalloc-64 are not part of the object. */
static noinline void kasan_bitops_tags(void)
{
	char *bits = hide(kzalloc(48, GFP_KERNEL));

	kasan_bitops_modify(0, bits + 48);
	kasan_bitops_test_and_modify(7, bits + 48);
	kfree(bits);
}

static noinline void kmalloc_double_kzfree(void)
{
	char *ptr = ALLOC(16);

	kfree_sensitive(ptr);
	EXPECT_KASAN_FAIL(kfree_sensitive(ptr));
}

static noinline void vmalloc_oob(void)
{
	size_t size = PAGE_SIZE / 2 - KASAN_GRANULE_SIZE - 5;
	char *ptr = hide(vmalloc(size));

	OPTIMIZER_HIDE_VAR(size);
	if (IS_GENERIC)
		EXPECT_KASAN_FAIL(READ(ptr + size));
	EXPECT_KASAN_FAIL(READ(ptr + size + 5));
	WRITE(ptr);
	WRITE(ptr + size - 1);
	vfree(ptr);
}

/* No pointer gets the tag that matches all memory. */
static noinline void match_all_not_assigned(void)
{
	for (int i = 0; i < 256; i++) {
		size_t size = 1 + i * 97 % 1024;
		char *ptr = ALLOC(size);

		failed |= kasan_get_tag(ptr) == KASAN_TAG_KERNEL;
		kfree(ptr);
		ptr = hide(vmalloc(size));
		failed |= kasan_get_tag(ptr) == KASAN_TAG_KERNEL;
		vfree(ptr);
	}
}

static noinline void match_all_ptr_tag(void)
{
	char *ptr = ALLOC(128), *match_all = hide(kasan_set_tag(ptr, KASAN_TAG_KERNEL));

	WRITE(match_all);
	kfree(ptr);
}

/* But memory has none that matches all pointers. */
static noinline void match_all_mem_tag(void)
{
	char *ptr = ALLOC(128);

	for (int tag = kasan_kind == KASAN_HW_TAGS ? 0xf0 : 0; tag <= KASAN_TAG_KERNEL; tag++) {
		if (tag == kasan_get_tag(ptr))
			continue;
		kasan_unpoison_range(kasan_set_tag(ptr, tag), KASAN_GRANULE_SIZE);
		EXPECT_KASAN_FAIL(WRITE(ptr));
	}
	kasan_unpoison_range(ptr, KASAN_GRANULE_SIZE);
	kfree(ptr);
}

/* A tag does not keep a pointer from being known as vmalloc's, and the memory is there by its page too. */
static noinline void vmalloc_helpers_tags(void)
{
	char *ptr = hide(vmalloc(PAGE_SIZE));

	failed |= kasan_get_tag(ptr) == KASAN_TAG_KERNEL || !is_vmalloc_addr(ptr) || !vmalloc_to_page(ptr);
	WRITE(ptr);
	WRITE(ptr + PAGE_SIZE - 1);
	vfree(ptr);
}

/* Pages that are mapped once more have a tag at either place. */
static void check_mapping(struct page *page, char *v_ptr)
{
	char *p_ptr = hide(page_address(page));

	failed |= kasan_get_tag(v_ptr) == KASAN_TAG_KERNEL;
	WRITE(p_ptr);
	WRITE(v_ptr);
	failed |= *(volatile char *)p_ptr != 'x' || vmalloc_to_page(v_ptr) != page;
}

static noinline void vmap_tags(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 1);
	char *v_ptr = hide(vmap(&page, 1));

	check_mapping(page, v_ptr);
	vunmap(v_ptr);
	__free_pages(page, 1);
}

static noinline void vm_map_ram_tags(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 1);
	char *v_ptr = hide(vm_map_ram(&page, 1, -1));

	check_mapping(page, v_ptr);
	vm_unmap_ram(v_ptr, 1);
	__free_pages(page, 1);
}

static const char not_generic[] = "Test requires CONFIG_KASAN_GENERIC=n";
static const char checker[] = "Test requires a check of accesses: it would not survive";
static const char software_tags[] = "Test requires CONFIG_KASAN_SW_TAGS=y";
static const char generic[] = "Test requires CONFIG_KASAN_GENERIC=y";
static const char not_hardware[] = "Test requires CONFIG_KASAN_HW_TAGS=n";
static const char redzones[] __used = "Test requires CONFIG_KASAN_STACK=y";
#ifdef CONFIG_KASAN_STACK
#define COMPILER_CASE(fn) { #fn, fn, NULL }
#else
#define COMPILER_CASE(fn) { #fn, NULL, redzones }
#endif
#define CASE(fn) { #fn, fn, NULL }
/* Not for generic mode. */
#define TAGS_CASE(fn) { #fn, fn, not_generic }

static const struct test_case { const char *name; void (*run)(void); const char *skip; } cases[] = {
	CASE(kmalloc_oob_right), CASE(kmalloc_oob_left), CASE(kmalloc_node_oob_right), CASE(kmalloc_pagealloc_oob_right),
	CASE(kmalloc_pagealloc_uaf), CASE(kmalloc_pagealloc_invalid_free), TAGS_CASE(pagealloc_oob_right),
	CASE(pagealloc_uaf), CASE(kmalloc_large_oob_right), CASE(krealloc_more_oob), CASE(krealloc_less_oob),
	CASE(krealloc_pagealloc_more_oob), CASE(krealloc_pagealloc_less_oob), CASE(krealloc_uaf), CASE(kmalloc_oob_16),
	CASE(kmalloc_uaf_16), CASE(kmalloc_oob_in_memset), CASE(kmalloc_oob_memset_2), CASE(kmalloc_oob_memset_4),
	CASE(kmalloc_oob_memset_8), CASE(kmalloc_oob_memset_16), CASE(kmalloc_memmove_negative_size),
	CASE(kmalloc_memmove_invalid_size), CASE(kmalloc_uaf), CASE(kmalloc_uaf_memset), CASE(kmalloc_uaf2),
	TAGS_CASE(kmalloc_uaf3), CASE(kfree_via_page), CASE(kfree_via_phys), CASE(kmem_cache_oob),
	CASE(kmem_cache_accounted), CASE(kmem_cache_bulk), COMPILER_CASE(kasan_global_oob_right), COMPILER_CASE(kasan_global_oob_left),
	COMPILER_CASE(kasan_stack_oob), COMPILER_CASE(kasan_alloca_oob_left), COMPILER_CASE(kasan_alloca_oob_right),
	CASE(ksize_unpoisons_memory), CASE(ksize_uaf), CASE(kmem_cache_double_free), CASE(kmem_cache_invalid_free),
	CASE(kmem_cache_double_destroy), CASE(kasan_memchr), CASE(kasan_memcmp), CASE(kasan_strings), CASE(kasan_bitops_generic),
	TAGS_CASE(kasan_bitops_tags), CASE(kmalloc_double_kzfree), TAGS_CASE(vmalloc_helpers_tags),
	CASE(vmalloc_oob), { "vmap_tags", vmap_tags, software_tags }, { "vm_map_ram_tags", vm_map_ram_tags, software_tags },
	TAGS_CASE(match_all_not_assigned), TAGS_CASE(match_all_ptr_tag), TAGS_CASE(match_all_mem_tag),
};

static struct completion done;

/* Why a case cannot be in this kernel, or NULL. */
static const char *why_not(const struct test_case *c)
{
	if (c->skip == not_generic)
		return IS_GENERIC ? not_generic : NULL;
	if (c->skip == software_tags)
		return kasan_kind == KASAN_SW_TAGS ? NULL : software_tags;
	if (c->skip)
		return c->skip;
	if (c->run == kmalloc_memmove_negative_size && kasan_kind == KASAN_HW_TAGS)
		return not_hardware; /* nobody looks at memmove()'s length as a whole */
	if (c->run == kmalloc_memmove_negative_size && !kasan_checked)
		return checker;
	if (!IS_GENERIC && (c->run == kmalloc_oob_16 || c->run == kasan_bitops_generic))
		return generic;
	return NULL;
}

static int kunit_try_run_case(void *arg)
{
	const struct test_case *c = arg;

	c->run();
	complete(&done);
	return 0;
}

static int kasan_test_init(void)
{
	bool multishot = kasan_save_enable_multi_shot(), all = true;

	pr_info("    KTAP version 1\n    # Subtest: kasan\n    1..%zu\n", ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct test_case *c = &cases[i];
		const char *skip = why_not(c);

		failed = false;
		if (!skip) {
			init_completion(&done);
			if (IS_ERR(kthread_run(kunit_try_run_case, (void *)c, "kunit_try_catch")))
				return -ENOMEM;
			wait_for_completion(&done);
		}
		if (skip)
			pr_info("    ok %zu %s # SKIP %s\n", i + 1, c->name, skip);
		else
			pr_info("    %s %zu %s\n", failed ? "not ok" : "ok", i + 1, c->name);
		all &= !failed;
	}
	pr_info("%s 1 kasan\n", all ? "ok" : "not ok");
	kasan_restore_multi_shot(multishot);
	return 0;
}

static void kasan_test_exit(void)
{
}

module_init(kasan_test_init);
module_exit(kasan_test_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KASAN's own test");
