/* What memory is left, as sysrq-m shows it. Mirrors Linux mm/show_mem.c (6.1: lib/show_mem.c, mm/page_alloc.c). */
#include <linux/interrupt.h>
#include <linux/mm.h>

extern struct pglist_data *node_data[];
extern atomic_long_t _totalram_pages;

void show_mem(void)
{
	struct pglist_data *node = node_data[0];
	unsigned long reserved = node->node_spanned_pages - _totalram_pages.counter;

	printk("Mem-Info:\n");
	printk(" free:%lu\n", nr_free_pages());
	for (int z = 0; z < node->nr_zones; z++) {
		struct zone *zone = &node->node_zones[z];
		unsigned long total = 0;

		printk("Node 0 %s: ", zone->name);
		for (unsigned int order = 0; order < MAX_ORDER; order++) {
			unsigned long n = zone->free_area[order].nr_free;

			pr_cont("%lu*%lukB%s ", n, (unsigned long)(PAGE_SIZE << order) / 1024, n ? " (M)" : "");
			total += n << order;
		}
		pr_cont("= %lukB\n", total << (PAGE_SHIFT - 10));
	}
	printk("%lu pages RAM\n%lu pages HighMem/MovableOnly\n%lu pages reserved\n", node->node_spanned_pages, 0UL, reserved);
}
