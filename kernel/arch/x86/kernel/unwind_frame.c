/*
 * The frame-pointer unwinder, as arm64 has it: RBP heads a list of (RBP, return address) pairs. Where an interrupt or
 * exception came in, RBP is the address of the registers plus one (entry_64.S). Whoever has not made his frame yet, or
 * has taken it down, hides his caller. Built instead of unwind_orc.c by `--unwinder=frame`.
 * Mirrors Linux arch/x86/kernel/unwind_frame.c.
 */
#include <asm/stacktrace.h>

unsigned long *unwind_get_return_address_ptr(struct unwind_state *state)
{
	return state->regs ? NULL : (unsigned long *)state->sp - 1;
}

void unwind_start(struct unwind_state *state, struct task_struct *task, struct pt_regs *regs, unsigned long *first_frame)
{
	memset(state, 0, sizeof(*state));
	state->task = task;
	if (regs) {
		state->done = user_mode(regs);
		unwind_set_regs(state, regs);
	} else if (task != current && task->on_cpu) { /* it runs elsewhere: its stack is moving */
		state->done = state->error = true;
	} else if (task == current) {
		state->bp = (unsigned long)__builtin_frame_address(0);
	} else {
		struct inactive_task_frame *frame = (void *)task->thread.sp;

		state->sp = (unsigned long)(frame + 1);
		state->bp = frame->bp;
		state->ip = frame->ret_addr;
	}
	/* Without registers to start from, leave out the frames of whoever asks. */
	while (!regs && !state->done && state->sp < (unsigned long)first_frame)
		unwind_next_frame(state);
}

/* The registers that an encoded frame pointer tells of, or NULL. */
static struct pt_regs *decode_frame_pointer(unsigned long bp)
{
	return bp & 1 ? (struct pt_regs *)(bp & ~1UL) : NULL;
}

bool unwind_next_frame(struct unwind_state *state)
{
	struct pt_regs *regs = decode_frame_pointer(state->bp);
	unsigned long bp = state->bp, next, ip;

	if (state->done)
		return false;
	if (state->signal && !state->ip) { /* a call through a NULL pointer: the return address is on top of the stack */
		if (!unwind_read_stack(state, state->sp, &state->ip))
			goto bad;
		state->sp += 8;
		state->regs = NULL;
		state->signal = false;
		return true;
	}
	if (!bp)
		goto stop;
	state->regs = NULL;
	state->signal = false;
	if (regs) {
		if (!unwind_read_regs(state, regs))
			goto bad;
		if (user_mode(regs))
			goto stop;
		return true;
	}
	if (!unwind_read_stack(state, bp, &next) || !unwind_read_stack(state, bp + 8, &ip))
		goto bad;
	/* Frames lie above each other, or on another stack. */
	if (!(next & 1) && next <= bp && next >= (unsigned long)state->stack_info.begin)
		next = 0;
	state->ip = ip;
	state->sp = bp + 16;
	state->bp = next;
	return true;
bad:
	state->error = true;
stop:
	state->done = true;
	return false;
}
