/*
 * The checks: the CPU's, which arrive as exception 22 (docs/kasan.md), and the same in software, for memory that a
 * function is told to use and for instrumented code. Mirrors Linux 6.1 mm/kasan/generic.c.
 */
#include "kasan.h"
#include <asm/stacktrace.h>
#include <linux/module.h>

#define MSR_SHADOW_ADDRESS 0x4c414204
#define MSR_SHADOW_SIZE 0x4c414205

extern char __memory_text_start[], __memory_text_end[];

static bool range_is_poisoned(unsigned long addr, size_t size)
{
	unsigned long last = addr + size - 1;

	for (unsigned long at = addr & ~KASAN_GRANULE_MASK; at <= last; at += KASAN_GRANULE_SIZE) {
		u8 value = *shadow_of((void *)at);

		if (value && (value > KASAN_GRANULE_MASK || last - at >= value))
			return true;
	}
	return false;
}

noinline bool kasan_check_range(unsigned long addr, size_t size, bool write, unsigned long ret_ip)
{
	if (!kasan_enabled || !size)
		return true;
	if (addr + size < addr || !addr_has_metadata(addr) || range_is_poisoned(addr, size))
		return !kasan_report(addr, size, write, ret_ip);
	return true;
}

/*
 * The CPU refuses an access. Returning makes it all the same, RF being set. But memset() and its like, which are one
 * instruction, return NULL to their caller, whose fault it is: as they do in Linux when they find that out themselves.
 */
void exc_shadow_check(struct pt_regs *regs, long error_code)
{
	unsigned long addr = rdmsrl(MSR_SHADOW_ADDRESS), size = rdmsrl(MSR_SHADOW_SIZE), *sp = (unsigned long *)regs->sp;
	bool in_memory_function = regs->ip >= (unsigned long)__memory_text_start && regs->ip < (unsigned long)__memory_text_end;

	regs->orig_ax = ORIG_AX_SHADOW_CHECK;
	if (!kasan_report(addr, size, error_code & 1, in_memory_function ? *sp : regs->ip) || !in_memory_function)
		return;
	regs->ip = *sp;
	regs->sp += sizeof(*sp);
	regs->ax = 0;
	regs->flags &= ~X86_EFLAGS_DF;
}
EXPORT_SYMBOL(kasan_check_range);
