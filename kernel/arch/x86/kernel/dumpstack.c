/*
 * What an oops shows: registers, code bytes, the call trace; and the frame around it, oops_begin to oops_end.
 * Mirrors Linux arch/x86/kernel/dumpstack.c and dumpstack_64.c.
 */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/console.h>
#include <linux/kasan.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>

static int die_counter;
static arch_spinlock_t die_lock;
static int die_owner = -1, die_nest_count;
static struct pt_regs exec_summary_regs;
static bool have_summary;

static bool in_range(unsigned long *stack, void *begin, size_t size, struct stack_info *info, enum stack_type type)
{
	if (stack < (unsigned long *)begin || stack >= (unsigned long *)((char *)begin + size))
		return false;
	info->type = type;
	info->begin = begin;
	info->end = (unsigned long *)((char *)begin + size);
	info->next_sp = NULL;
	return true;
}

/* An exception's frame lies at the top of its stack. The NMI stack is two: see asm_exc_nmi. */
static bool in_exception_stack(unsigned long *stack, struct stack_info *info)
{
	static const struct { u16 offset, size; u8 ist; } stacks[] = {
		{ offsetof(struct cea_exception_stacks, DF_stack), EXCEPTION_STKSZ, ESTACK_DF },
		{ offsetof(struct cea_exception_stacks, NMI_stack), EXCEPTION_STKSZ / 2, ESTACK_NMI },
		{ offsetof(struct cea_exception_stacks, NMI_stack) + EXCEPTION_STKSZ / 2, EXCEPTION_STKSZ / 2, ESTACK_NMI },
		{ offsetof(struct cea_exception_stacks, DB_stack), EXCEPTION_STKSZ, ESTACK_DB },
		{ offsetof(struct cea_exception_stacks, MCE_stack), EXCEPTION_STKSZ, ESTACK_MCE },
	};
	char *base = (char *)this_cpu_read(cea_exception_stacks);

	for (size_t i = 0; base && i < ARRAY_SIZE(stacks); i++)
		if (in_range(stack, base + stacks[i].offset, stacks[i].size, info, STACK_TYPE_EXCEPTION)) {
			info->ist = stacks[i].ist;
			info->next_sp = (unsigned long *)((struct pt_regs *)info->end - 1)->sp;
			return true;
		}
	return false;
}

bool get_stack_info(unsigned long *stack, struct task_struct *task, struct stack_info *info)
{
	char *top = this_cpu_read(hardirq_stack_ptr);

	if (task->stack && in_range(stack, task->stack, THREAD_SIZE, info, STACK_TYPE_TASK))
		return true;
	if (task != current)
		return false;
	if (top && in_range(stack, top + 8 - THREAD_SIZE, THREAD_SIZE, info, STACK_TYPE_IRQ)) {
		info->next_sp = (unsigned long *)info->end[-1];
		return true;
	}
	if (in_exception_stack(stack, info))
		return true;
	info->type = STACK_TYPE_UNKNOWN;
	return false;
}

bool get_stack_guard_info(unsigned long *address, struct stack_info *info)
{
	return !get_stack_info(address, current, info) &&
	       get_stack_info((unsigned long *)((char *)address + PAGE_SIZE), current, info);
}

const char *stack_type_name(const struct stack_info *info)
{
	static const char *const names[N_EXCEPTION_STACKS] = { "#DF", "NMI", "#DB", "#MC" };

	switch (info->type) {
	case STACK_TYPE_TASK:
		return "TASK";
	case STACK_TYPE_IRQ:
		return "IRQ";
	case STACK_TYPE_EXCEPTION:
		return names[info->ist];
	default:
		return NULL;
	}
}

#define OPCODE_BUFSIZE 64
#define PROLOGUE_SIZE 42

/* `Code:` 42 bytes before, the byte at ip in brackets, 21 after. */
void show_opcodes(struct pt_regs *regs, const char *log_lvl)
{
	u8 opcodes[OPCODE_BUFSIZE];
	unsigned long prologue = regs->ip - PROLOGUE_SIZE;
	bool readable;

	if (user_mode(regs) && regs != task_pt_regs(current))
		return; /* another task's program is out of reach */
	if (user_mode(regs))
		readable = prologue < TASK_SIZE && !copy_from_user(opcodes, (void *)prologue, OPCODE_BUFSIZE);
	else
		readable = !copy_from_kernel_nofault(opcodes, (void *)prologue, OPCODE_BUFSIZE);
	if (!readable) {
		printk("%sCode: Unable to access opcode bytes at 0x%lx.\n", log_lvl, prologue);
		return;
	}
	printk("%sCode: %*ph <%02x> %*ph\n", log_lvl, PROLOGUE_SIZE, opcodes, opcodes[PROLOGUE_SIZE],
	       OPCODE_BUFSIZE - PROLOGUE_SIZE - 1, opcodes + PROLOGUE_SIZE + 1);
}

static void show_ip(struct pt_regs *regs, const char *log_lvl)
{
	if (user_mode(regs))
		printk("%sRIP: %04x:0x%lx\n", log_lvl, (int)regs->cs, regs->ip);
	else
		printk("%sRIP: %04x:%pS\n", log_lvl, (int)regs->cs, (void *)regs->ip);
}

/* Registers of an interrupted program, as a trace ends with them. */
static void show_iret_regs(struct pt_regs *regs, const char *log_lvl)
{
	show_ip(regs, log_lvl);
	show_opcodes(regs, log_lvl);
	printk("%sRSP: %04x:%016lx EFLAGS: %08lx", log_lvl, (int)regs->ss, regs->sp, regs->flags);
}

static void show_general(struct pt_regs *regs, const char *l)
{
	show_iret_regs(regs, l);
	if (regs->orig_ax != -1UL)
		pr_cont(" ORIG_RAX: %016lx\n", regs->orig_ax);
	else
		pr_cont("\n");
	printk("%sRAX: %016lx RBX: %016lx RCX: %016lx\n", l, regs->ax, regs->bx, regs->cx);
	printk("%sRDX: %016lx RSI: %016lx RDI: %016lx\n", l, regs->dx, regs->si, regs->di);
	printk("%sRBP: %016lx R08: %016lx R09: %016lx\n", l, regs->bp, regs->r8, regs->r9);
	printk("%sR10: %016lx R11: %016lx R12: %016lx\n", l, regs->r10, regs->r11, regs->r12);
	printk("%sR13: %016lx R14: %016lx R15: %016lx\n", l, regs->r13, regs->r14, regs->r15);
}

void __show_regs(struct pt_regs *regs, const char *l)
{
	unsigned int ds, cs, es, fsindex, gsindex;

	show_general(regs, l);
	__asm__("movl %%ds, %0" : "=r"(ds));
	__asm__("movl %%cs, %0" : "=r"(cs));
	__asm__("movl %%es, %0" : "=r"(es));
	__asm__("movl %%fs, %0" : "=r"(fsindex));
	__asm__("movl %%gs, %0" : "=r"(gsindex));
	printk("%sFS:  %016lx(%04x) GS:%016lx(%04x) knlGS:%016lx\n", l, (unsigned long)rdmsrl(MSR_FS_BASE), fsindex,
	       (unsigned long)rdmsrl(MSR_GS_BASE), gsindex, (unsigned long)rdmsrl(MSR_KERNEL_GS_BASE));
	printk("%sCS:  %04x DS: %04x ES: %04x CR0: %016lx\n", l, cs, ds, es, read_cr0());
	printk("%sCR2: %016lx CR3: %016lx CR4: %016lx\n", l, read_cr2(), read_cr3(), read_cr4());
}

void show_regs(struct pt_regs *regs)
{
	show_regs_print_info(KERN_DEFAULT);
	if (user_mode(regs)) { /* SHOW_REGS_USER */
		show_general(regs, KERN_DEFAULT);
		printk(KERN_DEFAULT "FS:  %016lx GS:  %016lx\n", (unsigned long)rdmsrl(MSR_FS_BASE),
		       (unsigned long)rdmsrl(MSR_KERNEL_GS_BASE));
		return;
	}
	__show_regs(regs, KERN_DEFAULT);
	show_trace_log_lvl(current, regs, NULL, KERN_DEFAULT);
}

static void printk_stack_address(unsigned long address, bool reliable, const char *log_lvl)
{
	char symbol[KSYM_SYMBOL_LEN];

	sprint_backtrace_build_id(symbol, address);
	printk("%s %s%s\n", log_lvl, reliable ? "" : "? ", symbol);
}

static bool on_stack(const struct stack_info *info, void *at, size_t size)
{
	return (char *)at >= (char *)info->begin && (char *)at + size <= (char *)info->end;
}

/* Registers are shown where they lie: with the stack that holds them. */
static void show_regs_if_on_stack(const struct stack_info *info, struct pt_regs *regs, const char *log_lvl)
{
	if (!regs || !on_stack(info, regs, sizeof(*regs)))
		return;
	if (regs->orig_ax == ORIG_AX_SHADOW_CHECK) /* as good as a call from there */
		printk_stack_address(regs->ip, true, log_lvl);
	else
		show_general(regs, log_lvl);
}

/*
 * Every word of each stack that looks like a text address is printed; those that the unwinder passes are certain,
 * the others get a question mark. From one stack to the next it goes by what the switch left behind.
 */
void show_trace_log_lvl(struct task_struct *task, struct pt_regs *regs, unsigned long *stack, const char *log_lvl)
{
	struct unwind_state state;
	struct stack_info info;

	printk("%sCall Trace:\n", log_lvl);
	if (!stack)
		stack = regs ? (unsigned long *)regs->sp : (unsigned long *)task->thread.sp;
	unwind_start(&state, task, regs, stack);
	if (regs)
		unwind_next_frame(&state); /* the frame of regs itself is the RIP line */
	regs = state.regs;
	for (int visited = 0; stack && visited < 8; visited++) {
		const char *name;

		if (!get_stack_info(stack, task, &info)) {
			/* a stack pointer that ran into the guard page below */
			stack = (unsigned long *)ALIGN((unsigned long)stack, (unsigned long)PAGE_SIZE);
			if (!get_stack_info(stack, task, &info))
				break;
		}
		name = stack_type_name(&info);
		printk("%s <%s>\n", log_lvl, name);
		show_regs_if_on_stack(&info, regs, log_lvl);
		for (; stack < info.end; stack++) {
			bool reliable;

			if (!kernel_text_address(*stack))
				continue;
			if (!regs || stack != &regs->ip) {
				reliable = !state.done && !state.regs && stack == unwind_get_return_address_ptr(&state);
				printk_stack_address(*stack, reliable, log_lvl);
				if (!reliable)
					continue;
			}
			unwind_next_frame(&state);
			regs = state.regs;
			show_regs_if_on_stack(&info, regs, log_lvl);
		}
		printk("%s </%s>\n", log_lvl, name);
		stack = (unsigned long *)ALIGN((unsigned long)info.next_sp, sizeof(long));
	}
}

void show_stack(struct task_struct *task, unsigned long *sp, const char *log_lvl)
{
	if (!sp && task == current)
		sp = (unsigned long *)__builtin_frame_address(0) + 1;
	show_trace_log_lvl(task, NULL, sp, log_lvl);
}

static noinline void __dump_stack(const char *log_lvl)
{
	show_stack(current, (unsigned long *)__builtin_frame_address(0) + 1, log_lvl);
}

noinline void dump_stack_lvl(const char *log_lvl)
{
	dump_stack_print_info(log_lvl);
	__dump_stack(log_lvl);
}

/* One report at a time; a CPU that fails while it reports goes on with the new one. */
unsigned long oops_begin(void)
{
	unsigned long flags;
	int cpu;

	oops_enter();
	flags = local_irq_save();
	cpu = smp_processor_id();
	if (!arch_spin_trylock(&die_lock) && cpu != READ_ONCE(die_owner))
		arch_spin_lock(&die_lock);
	die_nest_count++;
	die_owner = cpu;
	console_verbose();
	bust_spinlocks(1);
	return flags;
}

void oops_end(unsigned long flags, struct pt_regs *regs, int signr)
{
	if (regs && kexec_should_crash(current))
		crash_kexec(regs);
	bust_spinlocks(0);
	die_owner = -1;
	add_taint(TAINT_DIE, LOCKDEP_NOW_UNRELIABLE);
	die_nest_count--;
	if (!die_nest_count)
		arch_spin_unlock(&die_lock);
	local_irq_restore(flags);
	oops_exit();
	if (have_summary)
		__show_regs(&exec_summary_regs, KERN_DEFAULT);
	if (!signr)
		return;
	if (in_interrupt())
		panic("Fatal exception in interrupt");
	if (panic_on_oops)
		panic("Fatal exception");
	make_task_dead(signr);
}

int __die(const char *str, struct pt_regs *regs, long err)
{
	if (die_counter == 0) {
		exec_summary_regs = *regs;
		have_summary = true;
	}
	printk(KERN_DEFAULT "%s: %04lx [#%d]%s%s\n", str, err & 0xffff, ++die_counter, kasan_enabled ? " SMP KASAN" : " SMP", " NOPTI");
	show_regs(regs);
	print_modules();
	if (notify_die(DIE_OOPS, str, regs, err, current->thread.trap_nr, SIGSEGV) == NOTIFY_STOP)
		return 1;
	return 0;
}

void die(const char *str, struct pt_regs *regs, long err)
{
	unsigned long flags = oops_begin();
	int sig = SIGSEGV;

	if (__die(str, regs, err))
		sig = 0;
	oops_end(flags, regs, sig);
}
EXPORT_SYMBOL(dump_stack_lvl);
