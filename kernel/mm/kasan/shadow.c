/*
 * The shadow as an array: poisoning, unpoisoning, looking. And the shadow of vmalloc areas, which is allocated with
 * them and kept. Mirrors Linux 6.1 mm/kasan/shadow.c.
 */
#include "kasan.h"
#include <linux/kfence.h>
#include <linux/module.h>
#include <linux/spinlock.h>

/* Objects have few bytes of shadow: they are stored here. */
static inline __attribute__((always_inline)) void fill_shadow(const void *addr, size_t size, u8 value)
{
	u64 word = value * 0x0101010101010101;
	u8 *shadow = shadow_of(addr);
	size_t count = size >> KASAN_SHADOW_SCALE_SHIFT;

	if (count > 64) {
		__memset(shadow, value, count);
		return;
	}
	for (; count >= 8; count -= 8, shadow += 8)
		*(u64 *)shadow = word;
	for (; count; count--)
		*shadow++ = value;
}

void kasan_poison(const void *addr, size_t size, u8 value)
{
	if (!(((unsigned long)addr | size) & KASAN_GRANULE_MASK))
		fill_shadow(addr, size, kasan_tags() ? KASAN_TAG_INVALID : value);
}

void kasan_unpoison(const void *addr, size_t size)
{
	if (kasan_tags()) { /* whole granules, with the pointer's tag */
		fill_shadow(addr, ALIGN(size, KASAN_GRANULE_SIZE), kasan_get_tag(addr));
		return;
	}
	if (!((unsigned long)addr & KASAN_GRANULE_MASK))
		fill_shadow(addr, size & ~KASAN_GRANULE_MASK, 0);
	if (size & KASAN_GRANULE_MASK)
		*shadow_of((const char *)addr + size) = size & KASAN_GRANULE_MASK;
}

bool kasan_byte_accessible(const void *addr)
{
	return kasan_tags() ? kasan_tags_match((unsigned long)addr, 1) : *shadow_of(addr) < KASAN_GRANULE_SIZE;
}

void __kasan_unpoison_range(const void *addr, size_t size)
{
	if (is_kfence_address(addr))
		return;
	kasan_unpoison(addr, size);
}

void __kasan_unpoison_pages(struct page *page, unsigned int order)
{
	kasan_unpoison(page_address(page), PAGE_SIZE << order);
}

void __kasan_poison_pages(struct page *page, unsigned int order)
{
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_PAGE_FREE);
}

/* Pages of shadow for an area, as far as its neighbours did not need them already. */
int __kasan_populate_vmalloc(unsigned long addr, unsigned long size)
{
	unsigned long start = (unsigned long)shadow_of((void *)addr) & PAGE_MASK;
	unsigned long end = ALIGN((unsigned long)shadow_of((void *)(addr + size)), (unsigned long)PAGE_SIZE);

	for (; start < end; start += PAGE_SIZE) {
		unsigned long *pte = pte_of(init_top_pgt, start, true), page;

		if (!pte)
			return -ENOMEM;
		if (*pte & _PAGE_PRESENT)
			continue;
		page = get_zeroed_page(GFP_KERNEL);
		if (!page)
			return -ENOMEM;
		__memset((void *)page, kasan_tags() ? KASAN_TAG_INVALID : KASAN_VMALLOC_INVALID, PAGE_SIZE);
		*pte = __pa(page) | PAGE_KERNEL;
	}
	return 0;
}

void *__kasan_unpoison_vmalloc(void *start, unsigned long size)
{
	if (kasan_tags() && kasan_vmalloc_tags && (unsigned long)start < VMALLOC_END) /* code has no tags */
		start = kasan_set_tag(start, kasan_random_tag());
	kasan_unpoison(start, size);
	return start;
}

void __kasan_poison_vmalloc(const void *start, unsigned long size)
{
	kasan_poison(start, ALIGN(size, KASAN_GRANULE_SIZE), KASAN_VMALLOC_INVALID);
}
EXPORT_SYMBOL(__kasan_unpoison_range);
