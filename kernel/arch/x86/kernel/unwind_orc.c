/*
 * The ORC unwinder: from (ip, sp, bp) to the caller's, by a table made from CFI at build time. Crosses
 * interrupts and exceptions through the register frames they leave. Mirrors Linux arch/x86/kernel/unwind_orc.c.
 */
#include <asm/stacktrace.h>
#include <linux/module.h>
#include <linux/orc.h>

extern const s32 __start_orc_unwind_ip[], __stop_orc_unwind_ip[];
extern const struct orc_row __start_orc_unwind[];

/* Last entry at or below ip in a sorted table of self-relative addresses. */
static const struct orc_row *find_row(const s32 *ips, const struct orc_row *rows, long count, unsigned long ip)
{
	long low = 0, high = count;

	if (!count || (unsigned long)&ips[0] + ips[0] > ip)
		return NULL;
	while (high - low > 1) {
		long middle = (low + high) / 2;

		if ((unsigned long)&ips[middle] + ips[middle] <= ip)
			low = middle;
		else
			high = middle;
	}
	return &rows[low];
}

static const struct orc_row *orc_find(unsigned long ip)
{
	struct module *mod;

	/* Not what lies between: a jump there is guessed about like any other. */
	if ((ip >= (unsigned long)_stext && ip < (unsigned long)_etext) || (ip >= (unsigned long)_sinittext && ip < (unsigned long)_einittext))
		return find_row(__start_orc_unwind_ip, __start_orc_unwind, __stop_orc_unwind_ip - __start_orc_unwind_ip, ip);
	mod = __module_address(ip);
	return mod ? find_row(mod->orc_unwind_ip, mod->orc_unwind, mod->num_orcs, ip) : NULL;
}

void unwind_start(struct unwind_state *state, struct task_struct *task, struct pt_regs *regs, unsigned long *first_frame)
{
	memset(state, 0, sizeof(*state));
	state->task = task;
	if (regs) {
		if (user_mode(regs)) {
			state->done = true;
			return;
		}
		unwind_set_regs(state, regs);
	} else if (task != current && task->on_cpu) { /* it runs elsewhere: its stack is moving */
		state->done = state->error = true;
		return;
	} else if (task == current) {
		__asm__ volatile("lea (%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2" : "=r"(state->ip), "=r"(state->sp), "=r"(state->bp));
	} else {
		struct inactive_task_frame *frame = (void *)task->thread.sp;

		state->sp = task->thread.sp + sizeof(*frame);
		state->bp = frame->bp;
		state->ip = frame->ret_addr;
		state->signal = state->ip == (unsigned long)ret_from_fork; /* nobody has called yet: its own row counts */
	}
	/* A stack pointer in the guard page below: the stack itself begins behind it. */
	if (!get_stack_info((unsigned long *)state->sp, task, &state->stack_info) &&
	    !get_stack_info((unsigned long *)ALIGN(state->sp, (unsigned long)PAGE_SIZE), task, &state->stack_info))
		state->done = state->error = true;
	/* Without registers to start from, leave out the frames of whoever asks. */
	while (!regs && !state->done && state->sp < (unsigned long)first_frame)
		unwind_next_frame(state);
}

/* A call through a NULL pointer: the return address is on top of the stack. */
static const struct orc_row null_row = { .sp_offset = 8, .sp_reg = ORC_REG_SP, .type = ORC_TYPE_CALL };
/* Code without a row (data, a user page): hope for a frame pointer. */
static const struct orc_row frame_pointer_row = { .sp_offset = 16, .bp_offset = -16, .sp_reg = ORC_REG_BP, .bp_reg = ORC_REG_PREV_SP, .type = ORC_TYPE_CALL };

unsigned long *unwind_get_return_address_ptr(struct unwind_state *state)
{
	return state->regs ? NULL : (unsigned long *)state->sp - 1;
}

bool unwind_next_frame(struct unwind_state *state)
{
	const struct orc_row *row;
	unsigned long sp, value;

	if (state->done)
		return false;
	row = state->ip ? orc_find(state->signal ? state->ip : state->ip - 1) : &null_row;
	if (!row) {
		row = &frame_pointer_row;
		state->error = true;
	}
	if (row->sp_reg == ORC_REG_UNDEFINED && !row->end) {
		state->error = true;
		goto stop;
	}
	if (row->end || row->sp_reg == ORC_REG_UNDEFINED)
		goto stop;
	switch (row->sp_reg) {
	case ORC_REG_SP:
		sp = state->sp + row->sp_offset;
		break;
	case ORC_REG_BP:
		sp = state->bp + row->sp_offset;
		break;
	case ORC_REG_SP_INDIRECT:
		if (!unwind_read_stack(state, state->sp, &sp))
			goto bad;
		sp += row->sp_offset;
		break;
	case ORC_REG_BP_INDIRECT:
		if (!unwind_read_stack(state, state->bp + row->sp_offset, &sp))
			goto bad;
		break;
	default:
		goto bad;
	}
	state->regs = NULL;
	state->signal = false;
	switch (row->type) {
	case ORC_TYPE_CALL: {
		unsigned long ip;

		if (!unwind_read_stack(state, sp - 8, &ip))
			goto bad;
		if (row->bp_reg == ORC_REG_PREV_SP) {
			if (!unwind_read_stack(state, sp + row->bp_offset, &value))
				goto bad;
			state->bp = value;
		}
		state->ip = ip;
		state->sp = sp;
		break;
	}
	case ORC_TYPE_REGS: {
		struct pt_regs *regs = (struct pt_regs *)sp;

		if (!unwind_read_regs(state, regs))
			goto bad;
		if (user_mode(regs))
			goto stop;
		break;
	}
	case ORC_TYPE_REGS_PARTIAL: {
		unsigned long cs, ip, next;

		if (!unwind_read_stack(state, sp, &ip) || !unwind_read_stack(state, sp + 8, &cs) || !unwind_read_stack(state, sp + 24, &next))
			goto bad;
		state->ip = ip;
		state->sp = next;
		state->signal = true;
		if (row->bp_reg == ORC_REG_PREV_SP && unwind_read_stack(state, sp + row->bp_offset, &value))
			state->bp = value;
		if ((cs & 3) == 3)
			goto stop;
		break;
	}
	}
	return true;
bad:
	state->error = true;
stop:
	state->done = true;
	return false;
}
