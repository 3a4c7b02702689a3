/* System calls are named __x64_sys_NAME and take the caller's registers (Linux arch/x86/include/asm/syscall_wrapper.h). */
#ifndef _LINUX_SYSCALLS_H
#define _LINUX_SYSCALLS_H
#include <linux/error-injection.h>
#include <linux/kernel.h>
#define SYSCALL_DEFINE(name)                                     \
	long __x64_sys_##name(struct pt_regs *regs);             \
	ALLOW_ERROR_INJECTION(__x64_sys_##name, ERRNO);          \
	noinline __error_injectable long __x64_sys_##name(struct pt_regs *regs)
#endif
