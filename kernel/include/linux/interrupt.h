/* Interrupts, soft interrupts, timers and work: the contexts that are not a process. */
#ifndef _LINUX_INTERRUPT_H
#define _LINUX_INTERRUPT_H
#include <linux/kernel.h>
#include <linux/preempt.h>

/* ---- soft interrupts: run when the outermost interrupt ends (Linux kernel/softirq.c) ---- */
enum { HI_SOFTIRQ, TIMER_SOFTIRQ, NET_TX_SOFTIRQ, NET_RX_SOFTIRQ, BLOCK_SOFTIRQ, IRQ_POLL_SOFTIRQ, TASKLET_SOFTIRQ, SCHED_SOFTIRQ, HRTIMER_SOFTIRQ, RCU_SOFTIRQ, NR_SOFTIRQS };
void open_softirq(int nr, void (*action)(void));
void raise_softirq(int nr);
void __irq_enter(void);
void __irq_exit_rcu(void);
void local_bh_disable(void);
void local_bh_enable(void);
unsigned int softirq_count_of(int cpu);

/* ---- timers: a function in soft interrupt context at a jiffy (Linux kernel/time/timer.c) ---- */
struct timer_list { struct list_head entry; unsigned long expires; void (*function)(struct timer_list *); int cpu; bool pending; };
void timer_setup(struct timer_list *timer, void (*function)(struct timer_list *), unsigned int flags);
void add_timer(struct timer_list *timer);
void add_timer_on(struct timer_list *timer, int cpu);
int mod_timer(struct timer_list *timer, unsigned long expires);
int del_timer(struct timer_list *timer);
int del_timer_sync(struct timer_list *timer);
void run_local_timers(void);
void init_timers(void);

/* ---- hrtimers: a function in hard interrupt context, at the grain of the tick (Linux kernel/time/hrtimer.c) ---- */
enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };
struct hrtimer { struct list_head node; u64 expires; enum hrtimer_restart (*function)(struct hrtimer *); bool queued; };
void hrtimer_init(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *));
/* On this CPU, `ns` from now. */
void hrtimer_start(struct hrtimer *timer, u64 ns);
void hrtimer_forward_now(struct hrtimer *timer, u64 ns);
void hrtimer_interrupt(void);
void hrtimers_init_cpu(int cpu);
DECLARE_PER_CPU(struct list_head, hrtimer_bases);
void sysrq_timer_list_show(void);

/* ---- work: a function in a kernel thread (Linux kernel/workqueue.c) ---- */
struct work_struct;
struct task_struct;
typedef void (*work_func_t)(struct work_struct *work);
struct work_struct { unsigned long pending; struct list_head entry; work_func_t func; };
#define INIT_WORK(w, f) ((w)->pending = 0, INIT_LIST_HEAD(&(w)->entry), (w)->func = (f))
bool schedule_work(struct work_struct *work);
bool schedule_work_on(int cpu, struct work_struct *work);
void print_worker_info(const char *log_lvl, struct task_struct *task);

extern int unknown_nmi_panic, panic_on_unrecovered_nmi, panic_on_io_nmi, sysctl_panic_on_rcu_stall, rcu_cpu_stall_suppress, rcu_cpu_stall_timeout;

/* ---- watchdogs ---- */
void touch_softlockup_watchdog(void);
void touch_all_softlockup_watchdogs(void);
void touch_nmi_watchdog(void);
bool watchdog_nmi(struct pt_regs *regs);
void lockup_detector_cpu(int cpu);
void rcu_sched_clock_irq(bool user);
void rcu_note_context_switch(void);
void rcu_cpu_stall_reset(void);
bool trigger_all_cpu_backtrace(bool include_self);
/* What a CPU is at: its interrupted registers, by NMI when it is another. */
void dump_cpu_task(int cpu);
/* -1 when NMI_DONE, else who took it. */
int crash_nmi(struct pt_regs *regs);
bool trigger_single_cpu_backtrace(int cpu);
bool nmi_cpu_backtrace(struct pt_regs *regs);
void update_process_times(bool user);
void tick_sched(struct pt_regs *regs);
struct pt_regs *get_irq_regs(void);
#endif
