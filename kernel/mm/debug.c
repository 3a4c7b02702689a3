/* A struct page in words. Mirrors Linux mm/debug.c. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

extern const struct trace_print_flags pageflag_names[];

const char *format_page_flags(char *buf, size_t size, unsigned long flags)
{
	size_t n = scnprintf(buf, size, "0x%lx(", flags);

	for (const struct trace_print_flags *f = pageflag_names; f->name; f++)
		if (flags & f->mask)
			n += scnprintf(buf + n, size - n, "%s|", f->name);
	n += scnprintf(buf + n, size - n, "zone=%lu", flags >> 62);
	if (kasan_tags())
		n += scnprintf(buf + n, size - n, "|kasantag=0x%lx", flags >> KASANTAG_PGSHIFT & KASANTAG_MASK);
	scnprintf(buf + n, size - n, ")");
	return buf;
}

noinline void dump_page(struct page *page, const char *reason)
{
	struct page *head = compound_head(page);
	const unsigned long *raw = (const unsigned long *)page;
	char flags[96];

	printk(KERN_WARNING "page:%p refcount:%d mapcount:%d mapping:%p index:0x%lx pfn:0x%lx\n", page, head->_refcount.counter,
	       head->flags & 1UL << PG_slab ? 0 : page->_mapcount.counter + 1, head->flags & 1UL << PG_slab ? NULL : page->mapping, page->index, page_to_pfn(page));
	if (PageCompound(page))
		printk(KERN_WARNING "head:%p order:%u compound_mapcount:%d compound_pincount:%d\n", head, compound_order(head),
		       head[1].compound_mapcount.counter + 1, 0);
	printk(KERN_WARNING "flags: %s\n", format_page_flags(flags, sizeof(flags), head->flags));
	for (int i = 0; i < 8; i += 4)
		printk(KERN_WARNING "raw: %016lx %016lx %016lx %016lx\n", raw[i], raw[i + 1], raw[i + 2], raw[i + 3]);
	if (reason)
		printk(KERN_WARNING "page dumped because: %s\n", reason);
}
