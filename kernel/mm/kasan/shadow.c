/*
 * The shadow as an array: poisoning, unpoisoning, looking. And the shadow of vmalloc areas, which is allocated with
 * them and kept. Mirrors Linux 6.1 mm/kasan/shadow.c.
 */
#include "shadow.h"
#include <linux/kfence.h>
#include <linux/module.h>
#include <linux/spinlock.h>

u64 kasan_shadow_words[65];

void kasan_init_shadow_words(void)
{
	for (unsigned int size = 0; size <= 64; size++)
		for (unsigned int n = 0; n < 8; n++) {
			u64 used = size < n * 8 ? 0 : size - n * 8;

			kasan_shadow_words[size] |= (used == 0 ? KASAN_SLAB_REDZONE : used < 8 ? used : 0) << n * 8;
		}
}

void kasan_poison(const void *addr, size_t size, u8 value)
{
	if (!(((unsigned long)addr | size) & KASAN_GRANULE_MASK))
		fill_shadow(shadow_of(addr), size >> KASAN_SHADOW_SCALE_SHIFT, kasan_tags() ? KASAN_TAG_INVALID : value);
}

void kasan_unpoison(const void *addr, size_t size)
{
	if (kasan_tags()) /* whole granules, with the pointer's tag */
		fill_shadow(shadow_of(addr), ALIGN(size, KASAN_GRANULE_SIZE) >> KASAN_SHADOW_SCALE_SHIFT, kasan_get_tag(addr));
	else if (!((unsigned long)addr & KASAN_GRANULE_MASK))
		fill_object_shadow((void *)addr, size, size, 0);
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

/* A random tag for all of them, which page_address() knows from now on. */
void kasan_tag_pages(struct page *page, unsigned int order)
{
	u8 tag = kasan_random_tag();

	for (unsigned long i = 0; i < 1UL << order; i++)
		page_kasan_tag_set(page + i, tag);
	kasan_unpoison(page_address(page), PAGE_SIZE << order);
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

/* Code has no tags. Nor have, with hardware tags, pages that the caller has: Arm's memory has one, however it is mapped. */
void *__kasan_unpoison_vmalloc(void *start, unsigned long size, bool pages)
{
	if (kasan_tags() && kasan_vmalloc_tags && is_vmalloc_addr(start) && !(pages && kasan_kind == KASAN_HW_TAGS))
		start = kasan_set_tag(start, kasan_random_tag());
	kasan_unpoison(start, size);
	return start;
}

void __kasan_poison_vmalloc(const void *start, unsigned long size)
{
	kasan_poison(start, ALIGN(size, KASAN_GRANULE_SIZE), KASAN_VMALLOC_INVALID);
}
EXPORT_SYMBOL(__kasan_unpoison_range);
