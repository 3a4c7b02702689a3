/* Several processors: who is there, and calls from one to another. Mirrors Linux include/linux/smp.h and cpumask.h. */
#ifndef _LINUX_SMP_H
#define _LINUX_SMP_H
#include <linux/kernel.h>
#include <linux/percpu.h>

extern struct cpumask __cpu_possible_mask, __cpu_present_mask, __cpu_online_mask, __cpu_active_mask;
extern unsigned int nr_cpu_ids, setup_max_cpus;
static inline bool cpu_online(int cpu) { return READ_ONCE(__cpu_online_mask.bits[0]) >> cpu & 1; }
static inline unsigned int num_online_cpus(void) { return __builtin_popcountl(READ_ONCE(__cpu_online_mask.bits[0])); }
#define for_each_cpu(cpu, mask) for (cpu = 0; cpu < NR_CPUS; cpu++) if ((mask) >> cpu & 1)
#define for_each_online_cpu(cpu) for_each_cpu(cpu, READ_ONCE(__cpu_online_mask.bits[0]))
/* `0,2-3` */
void cpumask_list(char *buf, size_t size, unsigned long mask);

struct task_struct;
struct pt_regs;
typedef void (*smp_call_func_t)(void *info);
/* Runs fn on one CPU, or on each of the mask but this one, in interrupt context there. */
int smp_call_function_single(int cpu, smp_call_func_t fn, void *info, bool wait);
void smp_call_function_many(unsigned long mask, smp_call_func_t fn, void *info, bool wait);
void on_each_cpu(smp_call_func_t fn, void *info, bool wait);
/* Runs what was asked of this CPU. */
void flush_smp_call_function_queue(void);

void smp_prepare_cpus(void);
void smp_init(void);
int __cpu_up(int cpu, struct task_struct *idle);
void smp_send_reschedule(int cpu);
void arch_send_call_function_single_ipi(int cpu);
void arch_send_call_function_ipi_mask(unsigned long mask);
/* The others stop: by interrupt, and by NMI those that do not listen. */
void smp_send_stop(void);
/* The others stop and leave their registers for the dump. */
void nmi_shootdown_cpus(void);
void crash_settle_nmi_stack(void);
void crash_smp_send_stop(void);
/* Whether an NMI means that this CPU stops; then it does not return. */
bool stop_nmi(struct pt_regs *regs);
void panic_smp_self_stop(void) __noreturn;
void nmi_panic_self_stop(struct pt_regs *regs) __noreturn;
#endif
