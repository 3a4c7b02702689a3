/* How memory is used, in the words of a report about its end. Mirrors Linux 5.15 lib/show_mem.c and mm/page_alloc.c. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched.h>

extern struct pglist_data *node_data[1];

/* `0xcc0(GFP_KERNEL)`, or the flags by name. */
const char *format_gfp(char *buf, size_t size, gfp_t gfp)
{
	static const struct { gfp_t mask; const char *name; } names[] = {
		{ GFP_KERNEL, "GFP_KERNEL" }, { GFP_ATOMIC, "GFP_ATOMIC" }, { __GFP_DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM" },
		{ __GFP_KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM" }, { __GFP_NOWARN, "__GFP_NOWARN" }, { __GFP_NOFAIL, "__GFP_NOFAIL" },
		{ __GFP_COMP, "__GFP_COMP" }, { __GFP_ZERO, "__GFP_ZERO" },
	};
	size_t n = scnprintf(buf, size, "0x%x(", gfp);
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((gfp & names[i].mask) == names[i].mask) {
			n += scnprintf(buf + n, size - n, "%s%s", first ? "" : "|", names[i].name);
			gfp &= ~names[i].mask;
			first = false;
		}
	scnprintf(buf + n, size - n, ")");
	return buf;
}

unsigned long nr_anon_pages(void);
unsigned long nr_anon_pages(void)
{
	struct task_struct *p;
	unsigned long pages = 0, flags;
	bool locked = tasklist_lock_forgiving(&flags);

	for_each_process(p)
		if (p->mm)
			pages += p->mm->rss_stat.count[MM_ANONPAGES].counter;
	tasklist_unlock(locked, flags);
	return pages;
}

unsigned long nr_slab_pages(void);
unsigned long nr_slab_pages(void)
{
	return vm_node_stat[NR_SLAB_RECLAIMABLE_B].counter + vm_node_stat[NR_SLAB_UNRECLAIMABLE_B].counter;
}

noinline void show_mem(void)
{
	pg_data_t *node = node_data[0];
	unsigned long anon = nr_anon_pages(), present = 0, reserved = 0;

	printk("Mem-Info:\n");
	printk("active_anon:%lu inactive_anon:0 isolated_anon:0\n"
	       " active_file:0 inactive_file:0 isolated_file:0\n"
	       " unevictable:0 dirty:0 writeback:0\n"
	       " slab_reclaimable:0 slab_unreclaimable:%lu\n"
	       " mapped:0 shmem:0 pagetables:0 bounce:0\n"
	       " kernel_misc_reclaimable:0\n"
	       " free:%lu free_pcp:0 free_cma:0\n", anon, nr_slab_pages(), nr_free_pages());
	printk("Node 0 active_anon:%lukB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB isolated(anon):0kB isolated(file):0kB mapped:0kB dirty:0kB writeback:0kB shmem:0kB writeback_tmp:0kB kernel_stack:%dkB pagetables:0kB all_unreclaimable? yes\n",
	       anon << 2, nr_threads * (THREAD_SIZE >> 10));
	for (int z = 0; z < node->nr_zones; z++) {
		struct zone *zone = &node->node_zones[z];

		printk("Node 0 %s free:%lukB min:0kB low:0kB high:0kB reserved_highatomic:0KB active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB writepending:0kB present:%lukB managed:%lukB mlocked:0kB bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:0kB\n",
		       zone->name, (unsigned long)zone->vm_stat[NR_FREE_PAGES].counter << 2, zone->present_pages << 2, (unsigned long)zone->managed_pages.counter << 2);
		printk("lowmem_reserve[]: 0 0 0 0\n");
		present += zone->present_pages;
		reserved += zone->spanned_pages;
	}
	for (int z = 0; z < node->nr_zones; z++) {
		struct zone *zone = &node->node_zones[z];
		unsigned long total = 0;

		printk("Node 0 %s:", zone->name);
		for (int o = 0; o < MAX_ORDER; o++) {
			pr_cont(" %lu*%lukB%s", zone->free_area[o].nr_free, 4UL << o, zone->free_area[o].nr_free ? " (M)" : "");
			total += zone->free_area[o].nr_free << o;
		}
		pr_cont(" = %lukB\n", total << 2);
	}
	printk("0 total pagecache pages\n");
	printk("%lu pages RAM\n", reserved);
	printk("0 pages HighMem/MovableOnly\n");
	printk("%lu pages reserved\n", reserved - (unsigned long)_totalram_pages.counter);
	(void)present;
}

noinline void warn_alloc(gfp_t gfp, unsigned int order)
{
	char mode[128];

	if (gfp & __GFP_NOWARN)
		return;
	pr_warn("%s: page allocation failure: order:%u, mode:%s, nodemask=(null),cpuset=/,mems_allowed=0\n", current->comm, order, format_gfp(mode, sizeof(mode), gfp));
	dump_stack();
	show_mem();
}
