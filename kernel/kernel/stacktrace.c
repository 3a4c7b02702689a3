/* Call stacks as arrays of addresses. Mirrors Linux kernel/stacktrace.c and arch/x86/kernel/stacktrace.c. */
#include <asm/stacktrace.h>
#include <linux/stackdepot.h>

static unsigned int collect(struct unwind_state *state, unsigned long *store, unsigned int size, unsigned int skip)
{
	unsigned int n = 0;

	for (; !state->done && n < size; unwind_next_frame(state)) {
		if (!state->ip || (state->regs && user_mode(state->regs)))
			break;
		if (skip)
			skip--;
		else
			store[n++] = state->ip;
	}
	return n;
}

noinline unsigned int stack_trace_save(unsigned long *store, unsigned int size, unsigned int skip)
{
	struct unwind_state state;

	unwind_start(&state, current, NULL, (unsigned long *)__builtin_frame_address(0) + 1);
	return collect(&state, store, size, skip);
}

unsigned int stack_trace_save_regs(struct pt_regs *regs, unsigned long *store, unsigned int size)
{
	struct unwind_state state;

	unwind_start(&state, current, regs, NULL);
	return collect(&state, store, size, 0);
}

void stack_trace_print(const unsigned long *entries, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		printk(" %pS\n", (void *)entries[i]);
}
