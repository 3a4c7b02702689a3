/*
 * Soft interrupts: what an interrupt leaves for later runs, with interrupts on, when the outermost one ends.
 * Mirrors Linux kernel/softirq.c; there is no ksoftirqd, and a restart is left to the next interrupt.
 */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/sched.h>

DEFINE_PER_CPU(unsigned int, __softirq_pending);
DEFINE_PER_CPU(unsigned int, softirqs_run);
static void (*softirq_vec[NR_SOFTIRQS])(void);

void open_softirq(int nr, void (*action)(void))
{
	softirq_vec[nr] = action;
}

/* Interrupts are off, or this is one. */
void raise_softirq(int nr)
{
	unsigned long flags = local_irq_save();

	this_cpu_write(__softirq_pending, this_cpu_read(__softirq_pending) | 1u << nr);
	local_irq_restore(flags);
}

unsigned int softirq_count_of(int cpu)
{
	return per_cpu(softirqs_run, cpu);
}

static noinline void handle_softirqs(void)
{
	unsigned int pending = this_cpu_read(__softirq_pending);

	preempt_count_add(SOFTIRQ_OFFSET);
	this_cpu_write(__softirq_pending, 0);
	this_cpu_write(softirqs_run, this_cpu_read(softirqs_run) + 1);
	local_irq_enable();
	for (int nr = 0; pending; nr++, pending >>= 1)
		if (pending & 1 && softirq_vec[nr])
			softirq_vec[nr]();
	local_irq_disable();
	preempt_count_sub(SOFTIRQ_OFFSET);
}

void __irq_enter(void)
{
	preempt_count_add(HARDIRQ_OFFSET);
}

noinline void __irq_exit_rcu(void)
{
	preempt_count_sub(HARDIRQ_OFFSET);
	if (!in_interrupt() && this_cpu_read(__softirq_pending))
		handle_softirqs();
}

void local_bh_disable(void)
{
	preempt_count_add(SOFTIRQ_DISABLE_OFFSET);
}

void local_bh_enable(void)
{
	preempt_count_sub(SOFTIRQ_DISABLE_OFFSET);
	if (!in_interrupt() && !irqs_disabled() && this_cpu_read(__softirq_pending)) {
		local_irq_disable();
		handle_softirqs();
		local_irq_enable();
	}
}
