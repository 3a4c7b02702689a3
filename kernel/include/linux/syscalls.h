/*
 * System calls: SYSCALL_DEFINEn(name, type, arg, ...) defines __x64_sys_NAME(regs), the entry in the table, around
 * the body. Mirrors Linux include/linux/syscalls.h and arch/x86/include/asm/syscall_wrapper.h.
 */
#ifndef _LINUX_SYSCALLS_H
#define _LINUX_SYSCALLS_H
#include <linux/sched.h>
#include <linux/uaccess.h>

#define __SC_ARGS0
#define __SC_ARGS1(t1, a1) (t1)regs->di
#define __SC_ARGS2(t1, a1, t2, a2) __SC_ARGS1(t1, a1), (t2)regs->si
#define __SC_ARGS3(t1, a1, t2, a2, t3, a3) __SC_ARGS2(t1, a1, t2, a2), (t3)regs->dx
#define __SC_ARGS4(t1, a1, t2, a2, t3, a3, t4, a4) __SC_ARGS3(t1, a1, t2, a2, t3, a3), (t4)regs->r10
#define __SC_ARGS5(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5) __SC_ARGS4(t1, a1, t2, a2, t3, a3, t4, a4), (t5)regs->r8
#define __SC_ARGS6(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6) __SC_ARGS5(t1, a1, t2, a2, t3, a3, t4, a4, t5, a5), (t6)regs->r9
#define __SC_DECL1(t1, a1) t1 a1
#define __SC_DECL2(t1, a1, t2, a2) t1 a1, t2 a2
#define __SC_DECL3(t1, a1, ...) t1 a1, __SC_DECL2(__VA_ARGS__)
#define __SC_DECL4(t1, a1, ...) t1 a1, __SC_DECL3(__VA_ARGS__)
#define __SC_DECL5(t1, a1, ...) t1 a1, __SC_DECL4(__VA_ARGS__)
#define __SC_DECL6(t1, a1, ...) t1 a1, __SC_DECL5(__VA_ARGS__)

#define __SYSCALL_DEFINEx(n, name, ...)                                                         \
	static inline __attribute__((always_inline)) long __do_sys_##name(__SC_DECL##n(__VA_ARGS__)); \
	long __x64_sys_##name(const struct pt_regs *regs);                                      \
	long __x64_sys_##name(const struct pt_regs *regs)                                       \
	{                                                                                       \
		return __do_sys_##name(__SC_ARGS##n(__VA_ARGS__));                              \
	}                                                                                       \
	static inline __attribute__((always_inline)) long __do_sys_##name(__SC_DECL##n(__VA_ARGS__))
#define SYSCALL_DEFINE0(name)                                              \
	long __x64_sys_##name(const struct pt_regs *__unused_regs);        \
	long __x64_sys_##name(const struct pt_regs *__unused_regs)
#define SYSCALL_DEFINE1(name, ...) __SYSCALL_DEFINEx(1, name, __VA_ARGS__)
#define SYSCALL_DEFINE2(name, ...) __SYSCALL_DEFINEx(2, name, __VA_ARGS__)
#define SYSCALL_DEFINE3(name, ...) __SYSCALL_DEFINEx(3, name, __VA_ARGS__)
#define SYSCALL_DEFINE4(name, ...) __SYSCALL_DEFINEx(4, name, __VA_ARGS__)
#define SYSCALL_DEFINE5(name, ...) __SYSCALL_DEFINEx(5, name, __VA_ARGS__)
#define SYSCALL_DEFINE6(name, ...) __SYSCALL_DEFINEx(6, name, __VA_ARGS__)
#endif
