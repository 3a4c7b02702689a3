/*
 * When memory has run out the largest program dies for the others. Mirrors Linux 5.15 mm/oom_kill.c: panic_on_oom,
 * oom_kill_allocating_task, /proc/PID/oom_score_adj is always 0.
 */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

static int sysctl_panic_on_oom, sysctl_oom_kill_allocating_task;
unsigned long total_rss(const struct mm_struct *mm);

unsigned long total_rss(const struct mm_struct *mm)
{
	return mm->rss_stat.count[MM_ANONPAGES].counter;
}

static unsigned long count_tables(const unsigned long *table, int level)
{
	unsigned long pages = 1;

	for (int i = 0; level > 1 && i < (level == 4 ? 256 : 512); i++)
		if (table[i] & _PAGE_PRESENT)
			pages += count_tables(__va(table[i] & PTE_PFN_MASK), level - 1);
	return pages;
}

static unsigned long pgtables_bytes(const struct mm_struct *mm)
{
	return count_tables((const unsigned long *)mm->pgd, 4) * PAGE_SIZE;
}

static bool killable(const struct task_struct *p)
{
	return p->mm && p->pid != 1 && !(p->flags & (PF_KTHREAD | PF_EXITING));
}

static noinline void dump_tasks(void)
{
	struct task_struct *p;

	printk(KERN_INFO "Tasks state (memory values in pages):\n");
	printk(KERN_INFO "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n");
	for_each_process(p)
		if (p->mm)
			printk(KERN_INFO "[%7d] %5d %5d %8lu %8lu %8lu %8lu         %5d %s\n", p->pid, 0, p->tgid, p->mm->total_vm,
			       total_rss(p->mm), pgtables_bytes(p->mm), 0UL, 0, p->comm);
}

static noinline void dump_header(gfp_t gfp, unsigned int order)
{
	char mode[128];

	pr_warn("%s invoked oom-killer: gfp_mask=%s, order=%u, oom_score_adj=%d\n", current->comm, format_gfp(mode, sizeof(mode), gfp), order, 0);
	dump_stack();
	show_mem();
	dump_tasks();
}

static struct task_struct *select_bad_process(void)
{
	struct task_struct *p, *chosen = NULL;

	if (sysctl_oom_kill_allocating_task && killable(current))
		return current;
	for_each_process(p)
		if (killable(p) && (!chosen || total_rss(p->mm) > total_rss(chosen->mm)))
			chosen = p;
	return chosen;
}

static noinline void oom_kill_process(struct task_struct *victim, gfp_t gfp, unsigned int order)
{
	dump_header(gfp, order);
	printk(KERN_INFO "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=%s,pid=%d,uid=%d\n",
	       victim->comm, victim->pid, 0);
	pr_err("Out of memory: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:0kB, shmem-rss:0kB, UID:%d pgtables:%lukB oom_score_adj:%d\n",
	       victim->pid, victim->comm, victim->mm->total_vm << 2, total_rss(victim->mm) << 2, 0, pgtables_bytes(victim->mm) >> 10, 0);
	send_sig(SIGKILL, victim);
}

noinline bool out_of_memory(gfp_t gfp, unsigned int order)
{
	struct task_struct *victim = current;

	lock_kernel(); /* a program's page fault comes without it, and the victim is not to die under the look */

	/* One that is dying already gives its memory back: no second victim. */
	if (current->pending.signal.sig[0] >> (SIGKILL - 1) & 1)
		goto out;
	if (sysctl_panic_on_oom) {
		dump_header(gfp, order);
		panic("Out of memory: %s panic_on_oom is enabled\n", sysctl_panic_on_oom == 2 ? "compulsory" : "system-wide");
	}
	victim = select_bad_process();
	if (!victim) {
		dump_header(gfp, order);
		panic("System is deadlocked on memory\n");
	}
	oom_kill_process(victim, gfp, order);
out:
	unlock_kernel();
	return victim != current;
}

static int oom_init(void)
{
	register_sysctl_int("/proc/sys/vm/panic_on_oom", &sysctl_panic_on_oom);
	register_sysctl_int("/proc/sys/vm/oom_kill_allocating_task", &sysctl_oom_kill_allocating_task);
	return 0;
}
fs_initcall(oom_init);
