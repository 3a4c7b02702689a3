/* Backtraces of other CPUs, which print them themselves, from an NMI. Mirrors Linux lib/nmi_backtrace.c and sched/core.c: dump_cpu_task. */
#include <asm/apic.h>
#include <asm/stacktrace.h>
#include <linux/interrupt.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

static unsigned long backtrace_mask;
static unsigned int backtrace_flag;
static arch_spinlock_t backtrace_lock; /* one CPU's text at a time */

bool nmi_cpu_backtrace(struct pt_regs *regs)
{
	int cpu = smp_processor_id();

	if (!(READ_ONCE(backtrace_mask) >> cpu & 1))
		return false;
	arch_spin_lock(&backtrace_lock);
	pr_warn("NMI backtrace for cpu %d\n", cpu);
	if (regs)
		show_regs(regs);
	else
		dump_stack();
	arch_spin_unlock(&backtrace_lock);
	__atomic_fetch_and(&backtrace_mask, ~(1UL << cpu), __ATOMIC_RELEASE);
	return true;
}

static bool trigger(unsigned long mask)
{
	int this_cpu = smp_processor_id(), cpu;
	char list[32];

	if (__atomic_exchange_n(&backtrace_flag, 1, __ATOMIC_ACQUIRE))
		return true; /* somebody is at it */
	WRITE_ONCE(backtrace_mask, mask);
	if (mask >> this_cpu & 1)
		nmi_cpu_backtrace(in_hardirq() ? get_irq_regs() : NULL);
	mask &= ~(1UL << this_cpu);
	if (mask) {
		cpumask_list(list, sizeof(list), mask);
		pr_info("Sending NMI from CPU %d to CPUs %s:\n", this_cpu, list);
		for_each_cpu(cpu, mask)
			apic_send_IPI(cpu, NMI_VECTOR);
		for (int i = 0; i < 10 * 1000 && READ_ONCE(backtrace_mask); i++) {
			udelay(1000);
			touch_softlockup_watchdog();
		}
	}
	__atomic_store_n(&backtrace_flag, 0, __ATOMIC_RELEASE);
	return true;
}

bool trigger_all_cpu_backtrace(bool include_self)
{
	return trigger(__cpu_online_mask.bits[0] & ~(include_self ? 0 : 1UL << smp_processor_id()));
}

bool trigger_single_cpu_backtrace(int cpu)
{
	return trigger(1UL << cpu);
}

void dump_cpu_task(int cpu)
{
	if (cpu == smp_processor_id() && in_hardirq() && get_irq_regs())
		show_regs(get_irq_regs());
	else
		trigger_single_cpu_backtrace(cpu);
}
