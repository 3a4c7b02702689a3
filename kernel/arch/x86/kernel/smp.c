/*
 * Stopping the other processors: by an interrupt, by NMI those that do not hear it; and for a dump by NMI with
 * their registers saved. Mirrors Linux arch/x86/kernel/smp.c, reboot.c (nmi_shootdown_cpus) and crash.c.
 */
#include <asm/apic.h>
#include <asm/stacktrace.h>
#include <linux/interrupt.h>
#include <linux/kexec.h>
#include <linux/sched.h>
#include <linux/smp.h>

static int stopping_cpu = -1;
static int crash_ipi_issued;
static unsigned long waiting_for_crash_ipi;

/* Off the list of those that run, and still for ever. */
void stop_this_cpu(void)
{
	local_irq_disable();
	__atomic_fetch_and(&__cpu_online_mask.bits[0], ~(1UL << smp_processor_id()), __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("hlt");
}

/* Dump tools find the NMI stack by where it begins; entry_64.S has it lower while an NMI is handled. No NMI comes any more. */
void crash_settle_nmi_stack(void)
{
	this_cpu_ptr(&cpu_tss_rw)->x86_tss.ist[ESTACK_NMI] = (u64)this_cpu_read(cea_exception_stacks)->DB_stack_guard;
}

static noinline void crash_nmi_callback(struct pt_regs *regs)
{
	int cpu = smp_processor_id();

	local_irq_disable();
	crash_save_cpu(regs, cpu);
	crash_settle_nmi_stack();
	__atomic_fetch_and(&waiting_for_crash_ipi, ~(1UL << cpu), __ATOMIC_RELEASE);
	for (;;) /* still online: the dump shows what it was doing */
		__asm__ volatile("hlt");
}

/* An NMI that means "stop". */
bool stop_nmi(struct pt_regs *regs)
{
	int cpu = smp_processor_id();

	if (READ_ONCE(crash_ipi_issued) && READ_ONCE(waiting_for_crash_ipi) >> cpu & 1)
		crash_nmi_callback(regs);
	if (READ_ONCE(stopping_cpu) != -1 && stopping_cpu != cpu)
		stop_this_cpu();
	return false;
}

/* A CPU that meets a crash in its own NMI, which lets no other in. */
void run_crash_ipi_callback(struct pt_regs *regs)
{
	stop_nmi(regs);
}

static bool wait_stopped(unsigned int us)
{
	while (num_online_cpus() > 1 && us--)
		udelay(1);
	return num_online_cpus() == 1;
}

void smp_send_stop(void)
{
	unsigned long others = __cpu_online_mask.bits[0] & ~(1UL << smp_processor_id());
	int cpu;

	if (!others || (crash_ipi_issued && !READ_ONCE(waiting_for_crash_ipi)))
		return;
	stopping_cpu = smp_processor_id();
	for_each_cpu(cpu, others)
		apic_send_IPI(cpu, REBOOT_VECTOR);
	if (wait_stopped(1000000))
		return;
	pr_emerg("Shutting down cpus with NMI\n");
	for_each_cpu(cpu, __cpu_online_mask.bits[0] & ~(1UL << smp_processor_id()))
		apic_send_IPI(cpu, NMI_VECTOR);
	wait_stopped(10000);
}

void nmi_shootdown_cpus(void)
{
	unsigned long others = __cpu_online_mask.bits[0] & ~(1UL << smp_processor_id());
	int cpu;

	local_irq_disable();
	if (crash_ipi_issued || !others)
		return;
	waiting_for_crash_ipi = others;
	__atomic_store_n(&crash_ipi_issued, 1, __ATOMIC_RELEASE);
	for_each_cpu(cpu, others)
		apic_send_IPI(cpu, NMI_VECTOR);
	for (int i = 0; i < 10000 && READ_ONCE(waiting_for_crash_ipi); i++)
		udelay(100);
}

void crash_smp_send_stop(void)
{
	nmi_shootdown_cpus();
	smp_send_stop();
}

/* A second panic while the first is under way: this CPU has nothing to add. */
void panic_smp_self_stop(void)
{
	local_irq_enable(); /* the first will stop it */
	for (;;)
		cpu_relax();
}

void nmi_panic_self_stop(struct pt_regs *regs)
{
	for (;;) {
		run_crash_ipi_callback(regs);
		cpu_relax();
	}
}
