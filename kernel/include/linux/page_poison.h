/* Free pages filled with 0xaa, and checked when they are handed out again. Mirrors Linux mm/page_poison.c. */
#ifndef _LINUX_PAGE_POISON_H
#define _LINUX_PAGE_POISON_H
#include <linux/types.h>
struct page;
void kernel_poison_pages(struct page *page, int numpages);
void kernel_unpoison_pages(struct page *page, int numpages);
#endif
