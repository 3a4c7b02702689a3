/*
 * The local APIC of each CPU and its timer, which is the tick; interprocessor interrupts; the I/O APIC for the
 * one line that can be an NMI. Devices stay on the 8259 pair, wired through LINT0 of the boot processor (virtual
 * wire mode). Mirrors Linux arch/x86/kernel/apic/apic.c and io_apic.c.
 */
#include <asm/apic.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>

#define PIT_HZ 1193182
unsigned int lapic_timer_khz;

void init_apic_mappings(void)
{
	*pte_of(init_top_pgt, FIX_APIC_BASE, true) = 0xfee00000 | PAGE_KERNEL | _PAGE_NX | 0x18; /* uncached */
	*pte_of(init_top_pgt, FIX_IO_APIC_BASE, true) = 0xfec00000 | PAGE_KERNEL | _PAGE_NX | 0x18;
}

void setup_local_APIC(void)
{
	apic_write(APIC_TASKPRI, 0);
	apic_write(APIC_SPIV, 0x100 | SPURIOUS_APIC_VECTOR);
	apic_write(APIC_LVT0, smp_processor_id() ? APIC_LVT_MASKED | APIC_DM_EXTINT : APIC_DM_EXTINT);
	apic_write(APIC_LVT1, APIC_DM_NMI);
	apic_write(APIC_LVTERR, ERROR_APIC_VECTOR);
	apic_write(APIC_EOI, 0);
}

/* Periodic, HZ times a second, counting at the bus's rate. */
void setup_APIC_timer(void)
{
	apic_write(APIC_TDCR, 0xb); /* by 1 */
	apic_write(APIC_LVTT, 0x20000 | LOCAL_TIMER_VECTOR);
	apic_write(APIC_TMICT, lapic_timer_khz * 1000 / HZ);
}

/* Interrupts are off: nothing comes between the two halves. */
void apic_icr_write(u32 low, u32 apicid)
{
	unsigned long flags = local_irq_save();

	while (apic_read(APIC_ICR) & 0x1000)
		cpu_relax();
	apic_write(APIC_ICR2, apicid << 24);
	apic_write(APIC_ICR, low);
	local_irq_restore(flags);
}

void apic_send_IPI(int cpu, int vector)
{
	apic_icr_write(vector == NMI_VECTOR ? APIC_DM_NMI | APIC_INT_ASSERT : APIC_DM_FIXED | APIC_INT_ASSERT | vector, cpu_apicid[cpu]);
}

static void io_apic_write(u32 index, u32 value)
{
	*(volatile u32 *)FIX_IO_APIC_BASE = index;
	*(volatile u32 *)(FIX_IO_APIC_BASE + 0x10) = value;
}

/* The 8254 counts 65536 periods, 18.2 times a second; its line is pin 2. */
void setup_nmi_clock(bool on)
{
	outb(0x43, 0x34);
	outb(0x40, 0);
	outb(0x40, 0);
	io_apic_write(0x10 + 2 * 2, APIC_LVT_MASKED);
	io_apic_write(0x11 + 2 * 2, 0xff000000); /* to all */
	io_apic_write(0x10 + 2 * 2, on ? APIC_DM_NMI : APIC_LVT_MASKED);
}

void smp_send_reschedule(int cpu)
{
	apic_send_IPI(cpu, RESCHEDULE_VECTOR);
}

void arch_send_call_function_single_ipi(int cpu)
{
	apic_send_IPI(cpu, CALL_FUNCTION_SINGLE_VECTOR);
}

void arch_send_call_function_ipi_mask(unsigned long mask)
{
	int cpu;

	for_each_cpu(cpu, mask)
		apic_send_IPI(cpu, CALL_FUNCTION_VECTOR);
}
