/*
 * Per-cpu variables: linked at 0, one copy a CPU, reached through GS (Linux include/linux/percpu-defs.h). They start
 * as zeros on every CPU: a definition has no initialiser.
 */
#ifndef _LINUX_PERCPU_H
#define _LINUX_PERCPU_H
#include <linux/types.h>

#define DEFINE_PER_CPU(t, n) __attribute__((section(".data..percpu"), used)) t n
#define DECLARE_PER_CPU(t, n) extern t n
extern unsigned long __per_cpu_offset[NR_CPUS];
#define per_cpu_offset(c) (__per_cpu_offset[c])
#define per_cpu(n, c) (*(__typeof__(&(n)))((unsigned long)&(n) + __per_cpu_offset[c]))
#define per_cpu_ptr(p, c) ((__typeof__(p))((unsigned long)(p) + __per_cpu_offset[c]))
#define this_cpu_read(n)                                                        \
	({                                                                      \
		__typeof__(n) __v;                                              \
		__asm__ volatile("mov %%gs:%1, %0" : "=r"(__v) : "m"(n));       \
		__v;                                                            \
	})
#define this_cpu_write(n, v) __asm__ volatile("mov %0, %%gs:%1" : : "r"((__typeof__(n))(v)), "m"(n) : "memory")

DECLARE_PER_CPU(unsigned long, this_cpu_off);
DECLARE_PER_CPU(int, cpu_number);
#define smp_processor_id() this_cpu_read(cpu_number)
#define this_cpu_ptr(p) ((__typeof__(p))((unsigned long)(p) + this_cpu_read(this_cpu_off)))
#endif
