/*
 * Machine checks: what the banks of the processor say, and the end, because nothing here can be repaired.
 * Mirrors Linux arch/x86/kernel/cpu/mce/core.c.
 */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#define HW_ERR "[Hardware Error]: "
#define MSR_IA32_MCG_CAP 0x179
#define MSR_IA32_MCG_STATUS 0x17a
#define MSR_IA32_MC0_STATUS 0x401
#define MCG_STATUS_RIPV 1
#define MCG_STATUS_EIPV 2
#define MCG_STATUS_MCIP 4
#define MCG_STATUS_LMCES 8
/* Seconds until a restart where panic= says nothing, so that the next boot can log what the banks hold. */
#define MCE_PANIC_TIMEOUT 30
#define MCI_STATUS_VAL (1ull << 63)
#define MCI_STATUS_UC (1ull << 61)
#define MCI_STATUS_EN (1ull << 60)
#define MCI_STATUS_MISCV (1ull << 59)
#define MCI_STATUS_ADDRV (1ull << 58)
#define MCI_STATUS_PCC (1ull << 57)

static unsigned int mce_banks;
extern struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; } shadow_timekeeper;

static void print_mce(int bank, u64 status, u64 mcgstatus, struct pt_regs *regs)
{
	bool amd = this_cpu_ptr(&cpu_info)->x86_vendor_id[0] == 'A';
	u32 r[4];

	pr_emerg("mce: " HW_ERR "CPU %d: Machine Check%s: %llx Bank %d: %016llx\n", smp_processor_id(),
		 mcgstatus & MCG_STATUS_MCIP ? " Exception" : "", mcgstatus, bank, status);
	if (mcgstatus & (MCG_STATUS_RIPV | MCG_STATUS_EIPV)) {
		pr_emerg("mce: " HW_ERR "RIP%s %02x:<%016lx> ", mcgstatus & MCG_STATUS_EIPV ? "" : " !INEXACT!", (int)regs->cs, regs->ip);
		if (regs->cs == __KERNEL_CS)
			pr_cont("{%pS}", (void *)regs->ip);
		pr_cont("\n");
	}
	pr_emerg("mce: " HW_ERR "TSC %llx ", rdtsc());
	if (status & MCI_STATUS_ADDRV)
		pr_cont("ADDR %llx ", rdmsrl(MSR_IA32_MC0_STATUS + 1 + 4 * bank));
	if (status & MCI_STATUS_MISCV)
		pr_cont("MISC %llx ", rdmsrl(MSR_IA32_MC0_STATUS + 2 + 4 * bank));
	pr_cont("\n");
	cpuid(1, 0, r);
	pr_emerg("mce: " HW_ERR "PROCESSOR %u:%x TIME %llu SOCKET %u APIC %x microcode %x\n",
		 amd ? 2 : 0, r[0], shadow_timekeeper.xtime_sec, 0, smp_processor_id(), 0);
	if (!amd)
		pr_emerg("mce: " HW_ERR "Run the above through 'mcelog --ascii'\n");
}

/* On its own stack, like an NMI. A bank with an uncorrected error ends it; with none the cause stays unknown. */
noinline void do_machine_check(struct pt_regs *regs)
{
	u64 mcgstatus = mce_banks ? rdmsrl(MSR_IA32_MCG_STATUS) : 0;
	const char *why = "Unknown", *msg = mcgstatus & MCG_STATUS_LMCES ? "Fatal local machine check" : "Fatal machine check";
	bool fatal = !(mcgstatus & MCG_STATUS_RIPV);

	for (unsigned int bank = 0; bank < mce_banks; bank++) {
		u64 status = rdmsrl(MSR_IA32_MC0_STATUS + 4 * bank);

		if (!(status & MCI_STATUS_VAL))
			continue;
		print_mce(bank, status, mcgstatus, regs);
		if (status & MCI_STATUS_PCC) {
			why = "Processor context corrupt";
			fatal = true;
		} else if (status & MCI_STATUS_UC && !fatal) {
			why = "Uncorrected";
			fatal = true;
		}
		wrmsrl(MSR_IA32_MC0_STATUS + 4 * bank, 0);
	}
	add_taint(TAINT_MACHINE_CHECK, LOCKDEP_NOW_UNRELIABLE);
	if (fatal) {
		pr_emerg("mce: " HW_ERR "Machine check: %s\n", why);
		if (!panic_timeout)
			panic_timeout = MCE_PANIC_TIMEOUT;
		panic("%s", msg);
	}
	wrmsrl(MSR_IA32_MCG_STATUS, 0);
}

void exc_machine_check(struct pt_regs *regs, long error_code)
{
	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	if (!mce_banks)
		pr_err("CPU#%d: Unexpected int18 (Machine Check)\n", smp_processor_id());
	do_machine_check(regs);
	preempt_count_sub(NMI_OFFSET + HARDIRQ_OFFSET);
}

/* On each CPU: all banks report. */
void mcheck_cpu_init(void)
{
	u32 r[4];

	cpuid(1, 0, r);
	if (!(r[3] & 1 << 7))
		return;
	if (r[3] & 1 << 14) {
		u64 cap = rdmsrl(MSR_IA32_MCG_CAP);

		mce_banks = cap & 0xff;
		if (cap & 0x100)
			wrmsrl(0x17b, ~0ull);
		for (unsigned int bank = 0; bank < mce_banks; bank++) {
			wrmsrl(MSR_IA32_MC0_STATUS - 1 + 4 * bank, ~0ull);
			wrmsrl(MSR_IA32_MC0_STATUS + 4 * bank, 0);
		}
	}
	write_cr4(read_cr4() | 0x40);
}
