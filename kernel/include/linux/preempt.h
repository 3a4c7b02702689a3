/*
 * What the processor is in the middle of: one count a CPU, in Linux's fields. The kernel itself is never preempted
 * (PREEMPT_NONE), but it counts, so that sleeping in the wrong place is noticed. Mirrors include/linux/preempt.h.
 */
#ifndef _LINUX_PREEMPT_H
#define _LINUX_PREEMPT_H
#include <linux/percpu.h>

#define PREEMPT_OFFSET 1
#define SOFTIRQ_OFFSET 0x100
#define SOFTIRQ_DISABLE_OFFSET (2 * SOFTIRQ_OFFSET)
#define HARDIRQ_OFFSET 0x10000
#define NMI_OFFSET 0x100000
#define PREEMPT_MASK 0xff
#define SOFTIRQ_MASK 0xff00
#define HARDIRQ_MASK 0xf0000
#define NMI_MASK 0xf00000

DECLARE_PER_CPU(int, __preempt_count);
#define preempt_count() this_cpu_read(__preempt_count)
#define preempt_count_set(n) this_cpu_write(__preempt_count, n)
#define preempt_count_add(n) __asm__ volatile("addl %0, %%gs:%1" : : "ri"((int)(n)), "m"(__preempt_count) : "memory", "cc")
#define preempt_count_sub(n) preempt_count_add(-(n))
#define preempt_disable() preempt_count_add(PREEMPT_OFFSET)
#define preempt_enable() preempt_count_sub(PREEMPT_OFFSET)

#define in_nmi() (preempt_count() & NMI_MASK)
#define in_hardirq() (preempt_count() & HARDIRQ_MASK)
#define in_softirq() (preempt_count() & SOFTIRQ_MASK)
#define in_serving_softirq() (preempt_count() & SOFTIRQ_OFFSET)
#define in_interrupt() ((preempt_count() & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK)) != 0)
#define in_atomic() (preempt_count() != 0)
#endif
