/*
 * Page faults. A user's is answered by the memory manager or by a signal; the kernel's own is fixed up, or it is
 * an oops. Mirrors Linux arch/x86/mm/fault.c and extable.c.
 */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/kasan.h>
#include <linux/kfence.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>

#define X86_PF_PROT 1UL
#define X86_PF_WRITE 2UL
#define X86_PF_USER 4UL
#define X86_PF_RSVD 8UL
#define X86_PF_INSTR 16UL

extern struct exception_table_entry __start___ex_table[], __stop___ex_table[];

/* `oops_format=4.19`: the first line as kernels before 5.0 wrote it. */
static bool old_wording;

static int oops_format_setup(char *value)
{
	old_wording = !strcmp(value, "4.19");
	return 1;
}
__setup("oops_format=", oops_format_setup);

static bool fixup_from(struct exception_table_entry *e, struct exception_table_entry *end, struct pt_regs *regs)
{
	for (; e < end; e++)
		if ((unsigned long)&e->insn + e->insn == regs->ip) {
			regs->ip = (unsigned long)&e->fixup + e->fixup;
			return true;
		}
	return false;
}

bool fixup_exception(struct pt_regs *regs)
{
	struct module *mod;

	if (fixup_from(__start___ex_table, __stop___ex_table, regs))
		return true;
	mod = __module_address(regs->ip);
	return mod && fixup_from(mod->extable, mod->extable + mod->num_exentries, regs);
}

/* Entries of the page tables on the way to an address. Tables may be what is broken: those out of reach are BAD. */
static void dump_pagetable(unsigned long address)
{
	static const char *const names[] = { "PGD", "P4D", "PUD", "PMD", "PTE" };
	static const int shifts[] = { 39, 39, 30, 21, 12 };
	unsigned long *table = __va(read_cr3() & PTE_PFN_MASK), entry = 0;

	for (int level = 0; level < 5; level++) {
		if (level != 1 && copy_from_kernel_nofault(&entry, &table[address >> shifts[level] & 511], sizeof(entry))) {
			pr_cont("BAD\n");
			return;
		}
		printk("%s%s %lx%s", level ? KERN_CONT : KERN_INFO, names[level], entry, level == 4 ? "" : " ");
		if (!(entry & _PAGE_PRESENT) && level != 0)
			break;
		if (level == 4 || (level > 1 && (entry & _PAGE_PSE)))
			break;
		if (level != 0)
			table = __va(entry & PTE_PFN_MASK);
	}
	pr_cont("\n");
}

static void show_fault_oops(struct pt_regs *regs, unsigned long error_code, unsigned long address)
{
	if (error_code & X86_PF_INSTR) {
		unsigned long *pte = pte_of(__va(read_cr3() & PTE_PFN_MASK), address, false);

		if (pte && (*pte & _PAGE_PRESENT) && (*pte & _PAGE_NX))
			pr_err("kernel tried to execute NX-protected page - exploit attempt? (uid: 0)\n");
		if (pte && (*pte & _PAGE_PRESENT) && (*pte & _PAGE_USER) && !(*pte & _PAGE_NX))
			pr_err("unable to execute userspace code (SMEP?) (uid: 0)\n");
	}
	if (old_wording)
		pr_alert("BUG: unable to handle kernel %s at %016lx\n",
			 address < PAGE_SIZE && !user_mode(regs) ? "NULL pointer dereference" : "paging request", address);
	else if (address < PAGE_SIZE && !user_mode(regs))
		pr_alert("BUG: kernel NULL pointer dereference, address: %016lx\n", address);
	else
		pr_alert("BUG: unable to handle page fault for address: %016lx\n", address);
	if (!old_wording) {
		pr_alert("#PF: %s %s in %s mode\n", error_code & X86_PF_USER ? "user" : "supervisor",
			 error_code & X86_PF_INSTR ? "instruction fetch" : error_code & X86_PF_WRITE ? "write access" : "read access",
			 user_mode(regs) ? "user" : "kernel");
		pr_alert("#PF: error_code(0x%04lx) - %s\n", error_code,
			 !(error_code & X86_PF_PROT) ? "not-present page" : error_code & X86_PF_RSVD ? "reserved bit violation" : "permissions violation");
	}
	printk(KERN_ALERT "");
	dump_pagetable(address);
	kasan_non_canonical_hook(address);
}

static noinline void page_fault_oops(struct pt_regs *regs, unsigned long error_code, unsigned long address)
{
	struct stack_info info;
	unsigned long flags;
	int sig = SIGKILL;

	if (!user_mode(regs) && address >= VMALLOC_START && get_stack_guard_info((unsigned long *)address, &info))
		handle_stack_overflow(regs, address, &info); /* just below a stack that still runs */
	flags = oops_begin();
	show_fault_oops(regs, error_code, address);
	if (*(unsigned long *)current->stack != 0x57AC6E9D)
		pr_emerg("Thread overran stack, or stack corrupted\n");
	if (__die("Oops", regs, error_code))
		sig = 0;
	printk("CR2: %016lx\n", address);
	oops_end(flags, regs, sig);
}

/* A reserved bit is set: no table of ours. */
static noinline void pgtable_bad(struct pt_regs *regs, unsigned long error_code, unsigned long address)
{
	unsigned long flags = oops_begin();
	int sig = SIGKILL;

	pr_alert("%s: Corrupted page table at address %lx\n", current->comm, address);
	printk(KERN_ALERT "");
	dump_pagetable(address);
	if (__die("Bad pagetable", regs, error_code))
		sig = 0;
	oops_end(flags, regs, sig);
}

/* A program touched what is not its own. */
static void bad_area(struct pt_regs *regs, unsigned long error_code, unsigned long address)
{
	int cpu = smp_processor_id();

	current->thread.cr2 = address;
	current->thread.error_code = error_code;
	current->thread.trap_nr = 14;
	if (unhandled_signal(current, SIGSEGV)) {
		printk("%s%s[%d]: segfault at %lx ip %016lx sp %016lx error %lx", current->pid > 1 ? KERN_INFO : KERN_EMERG,
		       current->comm, current->pid, address, regs->ip, regs->sp, error_code);
		print_vma_addr(" in ", regs->ip);
		pr_cont(" likely on CPU %d (core %d, socket %d)\n", cpu, cpu, 0);
		show_opcodes(regs, KERN_INFO);
	}
	force_sig(SIGSEGV);
}

static noinline void do_kern_addr_fault(struct pt_regs *regs, unsigned long error_code, unsigned long address)
{
	if (fixup_exception(regs))
		return;
	if (!(error_code & (X86_PF_PROT | X86_PF_INSTR)) && kfence_handle_page_fault(address, error_code & X86_PF_WRITE, regs))
		return;
	page_fault_oops(regs, error_code, address);
}

static noinline void do_user_addr_fault(struct pt_regs *regs, unsigned long error_code, unsigned long address)
{
	if (error_code & X86_PF_RSVD) {
		pgtable_bad(regs, error_code, address);
		return;
	}
	if (!user_mode(regs)) {
		/* SMAP or SMEP: the kernel must not touch this page directly */
		if ((error_code & (X86_PF_PROT | X86_PF_INSTR)) && !(regs->flags & 0x40000) && (error_code & X86_PF_PROT)) {
			do_kern_addr_fault(regs, error_code, address);
			return;
		}
		if (error_code & X86_PF_INSTR) {
			do_kern_addr_fault(regs, error_code, address);
			return;
		}
	}
	if (current->mm && !in_atomic()) { /* finding a page may sleep */
		bool enable = regs->flags & X86_EFLAGS_IF;
		int err;

		if (enable) /* finding a page may take a while, and even somebody's life */
			local_irq_enable();
		err = handle_mm_fault(current->mm, address, error_code);
		if (enable)
			local_irq_disable();
		if (!err || (err == -ENOMEM && user_mode(regs)))
			return;
	}
	if (!user_mode(regs)) {
		do_kern_addr_fault(regs, error_code, address);
		return;
	}
	bad_area(regs, error_code, address);
}

void exc_page_fault(struct pt_regs *regs, unsigned long error_code)
{
	unsigned long address = read_cr2();

	if (address >= TASK_SIZE)
		if (user_mode(regs))
			bad_area(regs, error_code | X86_PF_PROT, address);
		else
			do_kern_addr_fault(regs, error_code, address);
	else
		do_user_addr_fault(regs, error_code, address);
}
