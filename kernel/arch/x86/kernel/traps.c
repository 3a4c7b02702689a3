/*
 * Exceptions, one C handler each, in Linux's names; the stubs in entry_64.S call them with the register frame
 * and the error code. Mirrors Linux arch/x86/kernel/traps.c and idt.c.
 */
#include <asm/apic.h>
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

void exc_alignment_check(struct pt_regs *regs, long error_code)
{
	do_error_trap(regs, error_code, "alignment check", 17, SIGBUS);
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

/* The guard page below a task's stack was hit: say so before the ordinary report. */
void handle_stack_overflow(struct pt_regs *regs, unsigned long address)
{
	pr_emerg("BUG: TASK stack guard page was hit at %p (stack is %p..%p)\n", (void *)address, current->stack,
		 (char *)current->stack + THREAD_SIZE - 1);
	die("stack guard page", regs, 0);
}

void exc_double_fault(struct pt_regs *regs, long error_code)
{
	unsigned long address = read_cr2(), low = (unsigned long)current->stack;

	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	notify_die(DIE_TRAP, "double fault", regs, error_code, 8, SIGSEGV);
	if (address < low && low - address <= PAGE_SIZE) {
		handle_stack_overflow(regs, address);
		panic("kernel stack overflow");
	}
	pr_emerg("PANIC: double fault, error_code: 0x%lx\n", error_code);
	die("double fault", regs, error_code);
	panic("Machine halted.");
}

/* Guesses the address that a #GP was about by decoding the memory operand at ip (Linux: get_kernel_gp_address). */
static bool gp_address(const u8 *p, struct pt_regs *regs, unsigned long *address)
{
	static const u8 order[16] = { 10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0 };
	const unsigned long *r = (const unsigned long *)regs;
	u8 rex = 0, modrm;
	unsigned long addr = 0;

#define REG(n) r[order[n]]
	while (*p == 0x66 || *p == 0xf2 || *p == 0xf3 || *p == 0xf0 || *p == 0x64 || *p == 0x65)
		p++;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	if (*p >= 0xa0 && *p <= 0xa3) /* moffs: Linux does not decode these either */
		return *address = 0, true;
	if (*p == 0x0f)
		p++;
	modrm = *++p;
	if (modrm >> 6 == 3)
		return false;
	if ((modrm & 7) == 4) {
		u8 sib = *++p;

		if (((sib >> 3 & 7) | (rex & 2) << 2) != 4)
			addr = REG((sib >> 3 & 7) | (rex & 2) << 2) << (sib >> 6);
		if ((sib & 7) == 5 && !(modrm >> 6))
			addr += *(const s32 *)(p + 1);
		else
			addr += REG((sib & 7) | (rex & 1) << 3);
	} else if ((modrm & 7) == 5 && !(modrm >> 6))
		return false;
	else
		addr = REG((modrm & 7) | (rex & 1) << 3);
	if (modrm >> 6 == 1)
		addr += *(const s8 *)(p + 1);
	else if (modrm >> 6 == 2)
		addr += *(const s32 *)(p + 1);
	*address = addr;
	return true;
#undef REG
}

void exc_general_protection(struct pt_regs *regs, long error_code)
{
	char desc[96] = "general protection fault";
	u8 insn[16];
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
	else if (!copy_from_kernel_nofault(insn, (void *)regs->ip, sizeof(insn)) && gp_address(insn, regs, &address))
		snprintf(desc, sizeof(desc), "general protection fault, %s 0x%lx",
			 (long)(address << 16) >> 16 != (long)address ? "probably for non-canonical address" : "maybe for address", address);
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
