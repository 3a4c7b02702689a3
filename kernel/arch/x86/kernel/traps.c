/*
 * Exceptions, one C handler each, in Linux's names; the stubs in entry_64.S call them with the register frame
 * and the error code. Mirrors Linux arch/x86/kernel/traps.c and idt.c.
 */
#include <asm/apic.h>
#include <asm/insn-eval.h>
#include <asm/stacktrace.h>
#include <linux/notifier.h>
#include <linux/mm.h>
#include <linux/sched.h>

gate_desc idt_table[256] __aligned(4096);

void asm_exc_divide_error(void);
void asm_exc_debug(void);
void asm_exc_nmi(void);
void asm_exc_int3(void);
void asm_exc_overflow(void);
void asm_exc_bounds(void);
void asm_exc_invalid_op(void);
void asm_exc_device_not_available(void);
void asm_exc_double_fault(void);
void asm_exc_invalid_tss(void);
void asm_exc_segment_not_present(void);
void asm_exc_stack_segment(void);
void asm_exc_general_protection(void);
void asm_exc_page_fault(void);
void asm_exc_coprocessor_error(void);
void asm_exc_alignment_check(void);
void asm_exc_machine_check(void);
void asm_exc_simd_coprocessor_error(void);
void asm_exc_shadow_check(void);
void asm_sysvec_apic_timer_interrupt(void);
void asm_sysvec_reschedule_ipi(void);
void asm_sysvec_call_function(void);
void asm_sysvec_call_function_single(void);
void asm_sysvec_reboot(void);
void asm_sysvec_error_interrupt(void);
void asm_sysvec_spurious_apic_interrupt(void);
extern char irq_entries_start[];

static void cond_local_irq_enable(struct pt_regs *regs)
{
	if (regs->flags & X86_EFLAGS_IF)
		local_irq_enable();
}

static void cond_local_irq_disable(struct pt_regs *regs)
{
	if (regs->flags & X86_EFLAGS_IF)
		local_irq_disable();
}

/* A program's own fault: one line for the log (SIGSEGV's comes from the page fault handler), then the signal. */
static void user_trap(struct pt_regs *regs, long error_code, const char *str, int sig)
{
	if (unhandled_signal(current, sig)) {
		printk(KERN_INFO "traps: %s[%d] %s%s ip:%lx sp:%lx error:%lx", current->comm, current->pid,
		       strncmp(str, "general", 7) ? "trap " : "", str, regs->ip, regs->sp, error_code);
		print_vma_addr(" in ", regs->ip);
		pr_cont("\n");
	}
	force_sig(sig);
}

static void do_trap(struct pt_regs *regs, long error_code, const char *str, int trapnr, int sig)
{
	current->thread.trap_nr = trapnr;
	current->thread.error_code = error_code;
	if (user_mode(regs)) {
		user_trap(regs, error_code, str, sig);
		return;
	}
	if (fixup_exception(regs))
		return;
	die(str, regs, error_code);
}

static void do_error_trap(struct pt_regs *regs, long error_code, const char *str, int trapnr, int sig)
{
	if (notify_die(DIE_TRAP, str, regs, error_code, trapnr, sig) == NOTIFY_STOP)
		return;
	cond_local_irq_enable(regs);
	do_trap(regs, error_code, str, trapnr, sig);
	cond_local_irq_disable(regs);
}

void exc_divide_error(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, 0, "divide error", 0, SIGFPE);
}

void exc_overflow(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, 0, "overflow", 4, SIGSEGV);
}

void exc_bounds(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, 0, "bounds", 5, SIGSEGV);
}

void exc_device_not_available(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, 0, "unexpected #NM exception", 7, SIGFPE);
}

void exc_invalid_tss(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, error_code, "invalid TSS", 10, SIGSEGV);
}

void exc_segment_not_present(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, error_code, "segment not present", 11, SIGBUS);
}

void exc_stack_segment(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, error_code, "stack segment", 12, SIGBUS);
}

void exc_coprocessor_error(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, 0, "fpu exception", 16, SIGFPE);
}

/* The processor checks alignment in user mode only; in the kernel it is about a lock across two cache lines. */
void exc_alignment_check(struct pt_regs *regs, long error_code)
{
	if (notify_die(DIE_TRAP, "alignment check", regs, error_code, 17, SIGBUS) == NOTIFY_STOP)
		return;
	if (!user_mode(regs))
		die("Split lock detected\n", regs, error_code);
	local_irq_enable();
	do_trap(regs, error_code, "alignment check", 17, SIGBUS);
	local_irq_disable();
}

void exc_simd_coprocessor_error(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, 0, "simd exception", 19, SIGFPE);
}

void exc_debug(struct pt_regs *regs, long error_code)
{
	if (user_mode(regs))
		force_sig(SIGTRAP);
	else
		regs->flags &= ~0x100UL; /* a single step that nobody asked for */
}

/* In the kernel a breakpoint counts as NMI context: it may hit anywhere, so that nobody could go on after it. */
void exc_int3(struct pt_regs *regs, long error_code)
{
	if (user_mode(regs)) {
		do_error_trap(regs, 0, "int3", 3, SIGTRAP);
		return;
	}
	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	if (notify_die(DIE_INT3, "int3", regs, 0, 3, SIGTRAP) != NOTIFY_STOP)
		do_trap(regs, 0, "int3", 3, SIGTRAP);
	preempt_count_add(-NMI_OFFSET - HARDIRQ_OFFSET);
}

/* BUG() and WARN_ON() are an ud2 with an entry in the bug table. */
void exc_invalid_op(struct pt_regs *regs, long error_code)
{
	if (!user_mode(regs) && report_bug(regs->ip, regs) == BUG_TRAP_TYPE_WARN) {
		regs->ip += 2;
		return;
	}
	do_error_trap(regs, 0, "invalid opcode", 6, SIGILL);
}

/* The guard page below a stack was hit: say so before the ordinary report. */
void handle_stack_overflow(struct pt_regs *regs, unsigned long address, struct stack_info *info)
{
	const char *name = stack_type_name(info);

	pr_emerg("BUG: %s stack guard page was hit at %p (stack is %p..%p)\n", name, (void *)address, info->begin, info->end);
	die("stack guard page", regs, 0);
	panic("%s stack guard hit", name);
}

void exc_double_fault(struct pt_regs *regs, long error_code)
{
	unsigned long address = read_cr2();
	struct stack_info info;

	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	notify_die(DIE_TRAP, "double fault", regs, error_code, 8, SIGSEGV);
	if (get_stack_guard_info((unsigned long *)address, &info))
		handle_stack_overflow(regs, address, &info);
	pr_emerg("traps: PANIC: double fault, error_code: 0x%lx\n", error_code);
	die("double fault", regs, error_code);
	panic("Machine halted.");
}

#define __VIRTUAL_MASK ((1UL << 47) - 1)

enum kernel_gp_hint { GP_NO_HINT, GP_NON_CANONICAL, GP_CANONICAL };

/* Guesses the address that a #GP was about. */
static enum kernel_gp_hint get_kernel_gp_address(struct pt_regs *regs, unsigned long *addr)
{
	u8 insn[MAX_INSN_SIZE];
	int operand_bytes;

	if (copy_from_kernel_nofault(insn, (void *)regs->ip, sizeof(insn)))
		return GP_NO_HINT;
	*addr = insn_get_addr_ref(insn, regs, &operand_bytes);
	if (*addr < ~__VIRTUAL_MASK && *addr + operand_bytes - 1 > __VIRTUAL_MASK)
		return GP_NON_CANONICAL;
	return GP_CANONICAL;
}

void exc_general_protection(struct pt_regs *regs, long error_code)
{
	char desc[96] = "general protection fault";
	enum kernel_gp_hint hint = GP_NO_HINT;
	unsigned long address;

	cond_local_irq_enable(regs);
	if (user_mode(regs)) {
		do_trap(regs, error_code, desc, 13, SIGSEGV);
		cond_local_irq_disable(regs);
		return;
	}
	if (fixup_exception(regs)) {
		cond_local_irq_disable(regs);
		return;
	}
	current->thread.error_code = error_code;
	current->thread.trap_nr = 13;
	if (notify_die(DIE_GPF, desc, regs, error_code, 13, SIGSEGV) == NOTIFY_STOP)
		return;
	if (error_code)
		snprintf(desc, sizeof(desc), "segment-related general protection fault");
	else
		hint = get_kernel_gp_address(regs, &address);
	if (hint != GP_NO_HINT)
		snprintf(desc, sizeof(desc), "general protection fault, %s 0x%lx",
			 hint == GP_NON_CANONICAL ? "probably for non-canonical address" : "maybe for address", address);
	die(desc, regs, error_code);
}

static void set_gate(int n, void (*fn)(void), int ist, int dpl)
{
	unsigned long addr = (unsigned long)fn;
	gate_desc *g = &idt_table[n];

	g->offset_low = addr;
	g->segment = __KERNEL_CS;
	g->bits.ist = ist;
	g->bits.type = 14;
	g->bits.dpl = dpl;
	g->bits.p = 1;
	g->offset_middle = addr >> 16;
	g->offset_high = addr >> 32;
}

void load_current_idt(void)
{
	struct { u16 limit; unsigned long base; } __packed pointer = { sizeof(idt_table) - 1, (unsigned long)idt_table };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void trap_init(void)
{
	static const struct { u8 vector, ist, dpl; void (*fn)(void); } gates[] = {
		{ 0, 0, 0, asm_exc_divide_error }, { 1, 3, 0, asm_exc_debug }, { 2, 2, 0, asm_exc_nmi }, { 3, 0, 3, asm_exc_int3 },
		{ 4, 0, 3, asm_exc_overflow }, { 5, 0, 0, asm_exc_bounds }, { 6, 0, 0, asm_exc_invalid_op },
		{ 7, 0, 0, asm_exc_device_not_available }, { 8, 1, 0, asm_exc_double_fault }, { 10, 0, 0, asm_exc_invalid_tss },
		{ 11, 0, 0, asm_exc_segment_not_present }, { 12, 0, 0, asm_exc_stack_segment },
		{ 13, 0, 0, asm_exc_general_protection }, { 14, 0, 0, asm_exc_page_fault }, { 16, 0, 0, asm_exc_coprocessor_error },
		{ 17, 0, 0, asm_exc_alignment_check }, { 18, 4, 0, asm_exc_machine_check }, { 19, 0, 0, asm_exc_simd_coprocessor_error },
		{ 22, 0, 0, asm_exc_shadow_check },
	};

	for (size_t i = 0; i < ARRAY_SIZE(gates); i++)
		set_gate(gates[i].vector, gates[i].fn, gates[i].ist, gates[i].dpl);
	for (int i = 0; i < 16; i++)
		set_gate(0x20 + i, (void (*)(void))(irq_entries_start + 16 * i), 0, 0);
	set_gate(LOCAL_TIMER_VECTOR, asm_sysvec_apic_timer_interrupt, 0, 0);
	set_gate(RESCHEDULE_VECTOR, asm_sysvec_reschedule_ipi, 0, 0);
	set_gate(CALL_FUNCTION_VECTOR, asm_sysvec_call_function, 0, 0);
	set_gate(CALL_FUNCTION_SINGLE_VECTOR, asm_sysvec_call_function_single, 0, 0);
	set_gate(REBOOT_VECTOR, asm_sysvec_reboot, 0, 0);
	set_gate(ERROR_APIC_VECTOR, asm_sysvec_error_interrupt, 0, 0);
	set_gate(SPURIOUS_APIC_VECTOR, asm_sysvec_spurious_apic_interrupt, 0, 0);
	load_current_idt();
}
