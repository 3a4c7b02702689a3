/* The shadow of generic mode as an array, inline for those who change it at every allocation and free. */
#ifndef _MM_KASAN_SHADOW_H
#define _MM_KASAN_SHADOW_H
#include "kasan.h"

static inline __attribute__((always_inline)) u8 *generic_shadow(const void *addr)
{
	return (u8 *)(((unsigned long)addr >> 3) + KASAN_GENERIC_OFFSET);
}

/* Most objects have few bytes of shadow: they are stored, some of them twice if need be. */
static inline __attribute__((always_inline)) void fill_shadow(u8 *shadow, size_t count, u8 value)
{
	u64 word = value * 0x0101010101010101;

	if (count > 32) {
		__asm__ volatile("rep stosb" : "+D"(shadow), "+c"(count) : "a"(value) : "memory");
	} else if (count >= 16) {
		*(u64 *)shadow = *(u64 *)(shadow + 8) = word;
		*(u64 *)(shadow + count - 16) = *(u64 *)(shadow + count - 8) = word;
	} else if (count >= 8) {
		*(u64 *)shadow = word;
		*(u64 *)(shadow + count - 8) = word;
	} else if (count & 4) {
		*(u32 *)shadow = word;
		*(u32 *)(shadow + count - 4) = word;
	} else if (count) {
		*shadow = value;
		if (count & 2)
			*(u16 *)(shadow + count - 2) = word;
	}
}

/* Whole pages. */
static inline __attribute__((always_inline)) void fill_page_shadow(struct page *page, unsigned int order, u8 value)
{
	/* that of the address which the page has in the direct map, in one step */
	const unsigned long origin = (PAGE_OFFSET >> 3) + KASAN_GENERIC_OFFSET;
	u8 *shadow = (u8 *)(((unsigned long)page - VMEMMAP_START) * (PAGE_SIZE / 8 / sizeof(*page)) + origin);
	size_t words = PAGE_SIZE / 8 / 8 << order;

	__asm__ volatile("rep stosq" : "+D"(shadow), "+c"(words) : "a"(value * 0x0101010101010101) : "memory");
}

/* The page allocator gives pages away, and gets them back. */
static inline __attribute__((always_inline)) void kasan_unpoison_pages(struct page *page, unsigned int order)
{
	if (likely(!kasan_enabled))
		return;
	if (kasan_tags())
		kasan_tag_pages(page, order);
	else
		fill_page_shadow(page, order, 0);
}

static inline __attribute__((always_inline)) void kasan_poison_pages(struct page *page, unsigned int order)
{
	if (likely(!kasan_enabled))
		return;
	if (kasan_tags())
		kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_PAGE_FREE);
	else
		fill_page_shadow(page, order, KASAN_PAGE_FREE);
}

/* An object, of which what lies behind size is red zone. */
static inline __attribute__((always_inline)) void fill_object_shadow(void *object, size_t size, unsigned int object_size, u8 redzone)
{
	u8 *shadow = generic_shadow(object), *end = shadow + (object_size + 7) / 8;

	fill_shadow(shadow, size / 8, 0);
	shadow += size / 8;
	if (size % 8)
		*shadow++ = size % 8;
	fill_shadow(shadow, end - shadow, redzone);
}

/* The shadow of 64 bytes, of which so many are an object's and the others red zone. */
extern u64 kasan_shadow_words[65];

/* The same of slab objects. Most have a word or two. */
static inline __attribute__((always_inline)) void fill_slab_shadow(void *object, size_t size, unsigned int object_size)
{
	u64 *shadow = (u64 *)generic_shadow(object);

	if (object_size == 64) {
		*shadow = kasan_shadow_words[size];
	} else if (object_size == 128) {
		shadow[0] = kasan_shadow_words[min(size, (size_t)64)];
		shadow[1] = kasan_shadow_words[size < 64 ? 0 : size - 64];
	} else {
		fill_object_shadow(object, size, object_size, KASAN_SLAB_REDZONE);
	}
}
#endif
