/* Switching between tasks. Mirrors Linux arch/x86/kernel/process_64.c. */
#include <asm/processor.h>
#include <linux/mm.h>
#include <linux/sched.h>

const unsigned long task_threadsp = offsetof(struct task_struct, thread.sp);

struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next);
struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next)
{
	unsigned long top = (unsigned long)next->stack + THREAD_SIZE;
	struct mm_struct *mm = next->mm ? next->mm : &init_mm;

	if (next->thread.fsbase != prev->thread.fsbase)
		wrmsrl(MSR_FS_BASE, next->thread.fsbase);
	this_cpu_write(current_task, next);
	this_cpu_ptr(&fixed_percpu_data)->stack_canary = next->stack_canary;
	this_cpu_write(cpu_current_top_of_stack, top);
	this_cpu_ptr(&cpu_tss_rw)->x86_tss.sp0 = top;
	/* A kernel thread never borrows a program's address space: that could die on another CPU. */
	if (mm != prev->active_mm)
		write_cr3(__pa(mm->pgd));
	next->active_mm = mm;
	return prev;
}
