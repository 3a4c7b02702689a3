/* Register frame that every entry into the kernel leaves on the stack. */
#ifndef _ASM_PTRACE_H
#define _ASM_PTRACE_H

#define PT_REGS_SIZE 168

#ifndef __ASSEMBLY__
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax;	/* system call number or error code */
	unsigned long ip, cs, flags, sp, ss;
};

static inline int user_mode(const struct pt_regs *regs)
{
	return (regs->cs & 3) == 3;
}
#endif
#endif
