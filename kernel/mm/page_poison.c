/* `page_poison=1`: writes to free pages are found when the page is used next. Mirrors Linux mm/page_poison.c. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/page_poison.h>

#define PAGE_POISON 0xaa
static bool want_page_poisoning;

static int early_page_poison_param(char *value)
{
	want_page_poisoning = *value == '1' || *value == 'y' || !strncmp(value, "on", 2);
	return 1;
}
early_param("page_poison=", early_page_poison_param);

void kernel_poison_pages(struct page *page, int numpages)
{
	if (unlikely(want_page_poisoning))
		memset(page_address(page), PAGE_POISON, (size_t)numpages * PAGE_SIZE);
}

static noinline void check_poison_mem(struct page *page, u8 *mem, size_t bytes)
{
	u8 *start = mem, *end = mem + bytes - 1;

	while (start <= end && *start == PAGE_POISON)
		start++;
	if (start > end)
		return;
	while (*end == PAGE_POISON)
		end--;
	if (start == end && !((*start ^ PAGE_POISON) & ((*start ^ PAGE_POISON) - 1)))
		pr_err("pagealloc: single bit error\n");
	else
		pr_err("pagealloc: memory corruption\n");
	print_hex_dump(KERN_ERR, "", start, end - start + 1);
	dump_stack();
	dump_page(page, "pagealloc: corrupted page details");
}

void kernel_unpoison_pages(struct page *page, int numpages)
{
	if (unlikely(want_page_poisoning))
		for (int i = 0; i < numpages; i++)
			check_poison_mem(page + i, page_address(page + i), PAGE_SIZE);
}
