/* Stacks and the unwinder. */
#ifndef _ASM_STACKTRACE_H
#define _ASM_STACKTRACE_H
#include <linux/sched.h>

enum stack_type { STACK_TYPE_UNKNOWN, STACK_TYPE_TASK, STACK_TYPE_IRQ, STACK_TYPE_ENTRY, STACK_TYPE_EXCEPTION };
/* next_sp: where the interrupted code's stack goes on. */
struct stack_info { enum stack_type type; unsigned long *begin, *end, *next_sp; int ist; };
bool get_stack_info(unsigned long *stack, struct task_struct *task, struct stack_info *info);
/* An address in the unmapped page below a stack of this CPU or its task: that stack. */
bool get_stack_guard_info(unsigned long *address, struct stack_info *info);
const char *stack_type_name(const struct stack_info *info);

/* orig_ax of a frame that the CPU's shadow check left (mm/kasan/generic.c). */
#define ORIG_AX_SHADOW_CHECK (-2UL)

/* Where a task begins (entry_64.S). */
void ret_from_fork(void);

struct unwind_state {
	struct stack_info stack_info;
	struct task_struct *task;
	unsigned long ip, sp, bp;
	struct pt_regs *regs;	/* registers at this frame when it is an exception or interrupt */
	bool signal, error, done;
};
void unwind_start(struct unwind_state *state, struct task_struct *task, struct pt_regs *regs, unsigned long *first_frame);
bool unwind_next_frame(struct unwind_state *state);
/* Where the return address of this frame lies on the stack. */
unsigned long *unwind_get_return_address_ptr(struct unwind_state *state);

/* Goes on where an interrupt or exception came in. */
static inline void unwind_set_regs(struct unwind_state *state, struct pt_regs *regs)
{
	state->ip = regs->ip;
	state->sp = regs->sp;
	state->bp = regs->bp;
	state->regs = regs;
	state->signal = true;
}

/* A word of the stack under way, or of the next stack when the frames go on there. */
static inline bool unwind_read_stack(struct unwind_state *state, unsigned long addr, unsigned long *value)
{
	struct stack_info *info = &state->stack_info;

	if (addr & 7)
		return false;
	if (addr < (unsigned long)info->begin || addr + 8 > (unsigned long)info->end)
		if (!get_stack_info((unsigned long *)addr, state->task, info))
			return false;
	*value = *(unsigned long *)addr;
	return true;
}

/* The same as unwind_set_regs() where the registers lie on a stack from end to end; false where they do not. */
static inline bool unwind_read_regs(struct unwind_state *state, struct pt_regs *regs)
{
	unsigned long word;

	if (!unwind_read_stack(state, (unsigned long)regs, &word) || !unwind_read_stack(state, (unsigned long)(regs + 1) - 8, &word))
		return false;
	unwind_set_regs(state, regs);
	return true;
}

void show_regs(struct pt_regs *regs);
void __show_regs(struct pt_regs *regs, const char *level);
void show_trace_log_lvl(struct task_struct *task, struct pt_regs *regs, unsigned long *stack, const char *log_lvl);
void show_opcodes(struct pt_regs *regs, const char *log_lvl);
void die(const char *str, struct pt_regs *regs, long err);
int __die(const char *str, struct pt_regs *regs, long err);
unsigned long oops_begin(void);
void oops_end(unsigned long flags, struct pt_regs *regs, int signr);
bool fixup_exception(struct pt_regs *regs);
void handle_stack_overflow(struct pt_regs *regs, unsigned long address, struct stack_info *info) __noreturn;
#endif
