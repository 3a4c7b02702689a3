/* What a CPU does when there is nothing to do. Mirrors Linux kernel/sched/idle.c. */
#include <asm/processor.h>
#include <linux/sched.h>

/* Interrupts come on with the instruction before HLT, so that none is missed between the look and the sleep. */
static noinline void default_idle(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

static noinline void default_idle_call(void)
{
	local_irq_disable();
	if (need_resched())
		local_irq_enable();
	else
		default_idle();
}

static noinline void do_idle(void)
{
	while (!need_resched())
		default_idle_call();
	schedule_idle();
}

void cpu_startup_entry(void)
{
	for (;;)
		do_idle();
}
