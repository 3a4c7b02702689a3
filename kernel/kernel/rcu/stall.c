/*
 * Grace periods (what waits for them is in update.c): each CPU must pass through the scheduler, user mode or the idle
 * task once in a period, and a CPU that does not for `rcu_cpu_stall_timeout` seconds is reported in Linux's words.
 * Mirrors Linux kernel/rcu/tree.c (its periods) and tree_stall.h (its reports); flavour rcu_sched, as in a kernel
 * without preemption.
 */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

struct rcu_data { unsigned long ticks_this_gp, ticks_at_gp; bool qs_pending; };
DEFINE_PER_CPU(struct rcu_data, rcu_data);
struct rcu_state { raw_spinlock_t lock; long gp_seq; unsigned long waiting_for, gp_start, jiffies_stall, n_force_qs; };
struct rcu_state rcu_state = { .gp_seq = -1199 };
int sysctl_panic_on_rcu_stall, rcu_cpu_stall_suppress, rcu_cpu_stall_timeout = 21;

/* This CPU has been where nothing of the period's readers can be. */
static void rcu_qs(int cpu)
{
	if (READ_ONCE(rcu_state.waiting_for) >> cpu & 1)
		__atomic_fetch_and(&rcu_state.waiting_for, ~(1UL << cpu), __ATOMIC_RELAXED);
}

void rcu_note_context_switch(void)
{
	rcu_qs(smp_processor_id());
}

static void start_period(void)
{
	rcu_advance_cbs();
	rcu_state.gp_seq += 4;
	rcu_state.gp_start = jiffies;
	rcu_state.n_force_qs = 0;
	rcu_state.jiffies_stall = jiffies + rcu_cpu_stall_timeout * HZ;
	WRITE_ONCE(rcu_state.waiting_for, __cpu_online_mask.bits[0]);
}

void rcu_cpu_stall_reset(void)
{
	rcu_state.jiffies_stall = jiffies + rcu_cpu_stall_timeout * HZ;
}

static void panic_on_rcu_stall(void)
{
	if (sysctl_panic_on_rcu_stall)
		panic("RCU Stall\n");
}

/* `rcu: \t1-...0: (1 GPs behind) idle=473c/1/0x4000000000000000 softirq=82/83 fqs=2424` */
static void print_cpu_stall_info(int cpu)
{
	struct rcu_data *rdp = per_cpu_ptr(&rcu_data, cpu);
	struct rq *rq = per_cpu_ptr(&runqueues, cpu);

	pr_err("rcu: \t%d-%c%c%c%c: (%lu ticks this GP) idle=%04x/%d/0x%lx softirq=%u/%u fqs=%lu\n", cpu, '.', '.', '.',
	       rdp->ticks_this_gp ? '.' : '0', rdp->ticks_this_gp, (unsigned int)(rq->curr->sched_info.pcount & 0xffff), 1, 1UL << 62,
	       softirq_count_of(cpu), softirq_count_of(cpu), rcu_state.n_force_qs);
}

static noinline void print_cpu_stall(void)
{
	int cpu = smp_processor_id();

	pr_err("rcu: INFO: rcu_sched self-detected stall on CPU\n");
	print_cpu_stall_info(cpu);
	pr_cont("\t(t=%lu jiffies g=%ld q=%lu ncpus=%d)\n", jiffies - rcu_state.gp_start, rcu_state.gp_seq, 0UL, num_online_cpus());
	dump_cpu_task(cpu);
	panic_on_rcu_stall();
}

static noinline void print_other_cpu_stall(unsigned long stalled)
{
	int cpu;

	pr_err("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n");
	for_each_cpu(cpu, stalled)
		print_cpu_stall_info(cpu);
	pr_err("\t(detected by %d, t=%lu jiffies, g=%ld, q=%lu ncpus=%d)\n", smp_processor_id(), jiffies - rcu_state.gp_start,
	       rcu_state.gp_seq, 0UL, num_online_cpus());
	for_each_cpu(cpu, stalled)
		dump_cpu_task(cpu);
	panic_on_rcu_stall();
}

/* From each CPU's tick. */
void rcu_sched_clock_irq(bool user)
{
	struct rcu_data *rdp = this_cpu_ptr(&rcu_data);
	int cpu = smp_processor_id();
	unsigned long waiting;

	if (user || current->flags & PF_IDLE) {
		rcu_qs(cpu);
		rdp->ticks_this_gp = 0;
	} else
		rdp->ticks_this_gp++;
	waiting = READ_ONCE(rcu_state.waiting_for);
	if (!waiting) {
		if (raw_spin_trylock(&rcu_state.lock)) {
			if (!READ_ONCE(rcu_state.waiting_for))
				start_period();
			raw_spin_unlock(&rcu_state.lock);
		}
		return;
	}
	if (jiffies % 4 == 0)
		rcu_state.n_force_qs++;
	if (rcu_cpu_stall_suppress || oops_in_progress || (long)(jiffies - READ_ONCE(rcu_state.jiffies_stall)) < 0)
		return;
	/* A CPU that stalls speaks for itself; the others wait two jiffies longer for it. */
	if (!(waiting >> cpu & 1) && (long)(jiffies - READ_ONCE(rcu_state.jiffies_stall)) < 2)
		return;
	if (!raw_spin_trylock(&rcu_state.lock))
		return;
	waiting = READ_ONCE(rcu_state.waiting_for);
	if (waiting && (long)(jiffies - rcu_state.jiffies_stall) >= 0) {
		rcu_state.jiffies_stall = jiffies + 3 * rcu_cpu_stall_timeout * HZ + 3;
		touch_all_softlockup_watchdogs();
		if (waiting >> cpu & 1)
			print_cpu_stall();
		else
			print_other_cpu_stall(waiting);
	}
	raw_spin_unlock(&rcu_state.lock);
}

static int stall_suppress(char *value)
{
	rcu_cpu_stall_suppress = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("rcupdate.rcu_cpu_stall_suppress=", stall_suppress);

static int stall_timeout(char *value)
{
	int seconds = simple_strtoul(value, NULL, 0);

	if (seconds >= 3 && seconds <= 300)
		rcu_cpu_stall_timeout = seconds;
	return 1;
}
__setup("rcupdate.rcu_cpu_stall_timeout=", stall_timeout);
