/*
 * Non-maskable interrupts: who sent one is found out by asking everybody who might have. Mirrors Linux
 * arch/x86/kernel/nmi.c.
 */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/interrupt.h>
#include <linux/kexec.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/smp.h>

#define NMI_REASON_SERR 0x80
#define NMI_REASON_IOCHK 0x40
int unknown_nmi_panic, panic_on_unrecovered_nmi, panic_on_io_nmi;
DECLARE_PER_CPU(unsigned int, __nmi_count);

static void pci_serr_error(unsigned char reason, struct pt_regs *regs)
{
	pr_emerg("NMI: PCI system error (SERR) for reason %02x on CPU %d.\n", reason, smp_processor_id());
	if (panic_on_unrecovered_nmi)
		nmi_panic(regs, "NMI: Not continuing");
	pr_emerg("Dazed and confused, but trying to continue\n");
	outb(0x61, (reason & 0xf) | 4);
}

static void io_check_error(unsigned char reason, struct pt_regs *regs)
{
	pr_emerg("NMI: IOCK error (debug interrupt?) for reason %02x on CPU %d.\n", reason, smp_processor_id());
	show_regs(regs);
	if (panic_on_io_nmi)
		nmi_panic(regs, "NMI IOCK error: Not continuing");
	outb(0x61, (reason & 0xf) | 8);
	outb(0x61, reason & 0xf & ~8);
}

static noinline void unknown_nmi_error(unsigned char reason, struct pt_regs *regs)
{
	pr_emerg("Uhhuh. NMI received for unknown reason %02x on CPU %d.\n", reason, smp_processor_id());
	if (unknown_nmi_panic || panic_on_unrecovered_nmi)
		nmi_panic(regs, "NMI: Not continuing");
	pr_emerg("Dazed and confused, but trying to continue\n");
}

static noinline void default_do_nmi(struct pt_regs *regs)
{
	unsigned char reason;
	int handled = stop_nmi(regs);

	handled |= nmi_cpu_backtrace(regs);
	handled |= watchdog_nmi(regs);
	if (handled || notify_die(DIE_NMI, "NMI", regs, 0, 2, 0) == NOTIFY_STOP)
		return;
	reason = inb(0x61);
	if (reason & NMI_REASON_SERR)
		pci_serr_error(reason, regs);
	else if (reason & NMI_REASON_IOCHK)
		io_check_error(reason, regs);
	else
		unknown_nmi_error(reason, regs);
}

void exc_nmi(struct pt_regs *regs, long error_code)
{
	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	this_cpu_write(__nmi_count, this_cpu_read(__nmi_count) + 1);
	default_do_nmi(regs);
	preempt_count_sub(NMI_OFFSET + HARDIRQ_OFFSET);
}

static int setup_unknown_nmi_panic(char *value)
{
	return unknown_nmi_panic = 1;
}
__setup("unknown_nmi_panic", setup_unknown_nmi_panic);
