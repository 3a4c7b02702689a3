/*
 * The scheduler: a run queue for each CPU, round robin, no preemption inside the kernel. A tick asks for a switch
 * on the way back to user mode. One lock covers all queues; it is held across the switch, so that a task never
 * runs on two CPUs. Mirrors Linux kernel/sched/core.c.
 */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

DEFINE_PER_CPU(struct rq, runqueues);
DEFINE_PER_CPU(struct task_struct *, current_task);
static DEFINE_RAW_SPINLOCK(sched_lock);
struct task_struct *__switch_to_asm(struct task_struct *prev, struct task_struct *next);
/* Letters of `ps` in dump tools. */
static const char *const task_state_array[] __used = { "R (running)", "S (sleeping)", "D (disk sleep)", "T (stopped)", "t (tracing stop)", "X (dead)", "Z (zombie)", "P (parked)", "I (idle)" };

void init_idle(struct task_struct *idle, int cpu)
{
	struct rq *rq = per_cpu_ptr(&runqueues, cpu);

	idle->cpu = cpu;
	idle->on_cpu = 1;
	idle->nr_cpus_allowed = 1;
	idle->cpus_mask.bits[0] = 1UL << cpu;
	idle->flags |= PF_IDLE | PF_KTHREAD;
	rq->curr = rq->idle = idle;
	rq->cpu = cpu;
	rq->online = 1;
	INIT_LIST_HEAD(&rq->queue);
	for (int i = 0; i < 100; i++)
		INIT_LIST_HEAD(&rq->rt.active.queue[i]);
}

void sched_init(void)
{
	*(unsigned long *)init_task.stack = STACK_END_MAGIC;
	init_idle(&init_task, 0);
}

int task_cpu(const struct task_struct *t)
{
	return t->cpu;
}

bool idle_cpu(int cpu)
{
	struct rq *rq = per_cpu_ptr(&runqueues, cpu);

	return READ_ONCE(rq->curr) == rq->idle && !rq->nr_running;
}

/* Makes a CPU look at its queue. */
static void resched_curr(struct rq *rq)
{
	set_tsk_need_resched(rq->curr);
	if (rq->cpu != smp_processor_id())
		smp_send_reschedule(rq->cpu);
}

void resched_cpu(int cpu)
{
	resched_curr(per_cpu_ptr(&runqueues, cpu));
}

/* Where a task that may run goes: where it was if nothing else runs there, else to an idle CPU, else where it was. */
static int select_task_rq(struct task_struct *t)
{
	unsigned long allowed = t->cpus_mask.bits[0] & __cpu_online_mask.bits[0];
	int cpu, last = t->cpu;

	if (!allowed)
		return last;
	if (!(allowed >> last & 1))
		last = __builtin_ctzl(allowed);
	if (idle_cpu(last))
		return last;
	for_each_cpu(cpu, allowed)
		if (idle_cpu(cpu))
			return cpu;
	return last;
}

static void enqueue(struct task_struct *t, int cpu)
{
	struct rq *rq = per_cpu_ptr(&runqueues, cpu);

	if (t->on_rq || t == rq->idle)
		return;
	t->cpu = cpu;
	t->on_rq = 1;
	if (t->rt_priority) /* the stopper comes first */
		list_add(&t->run_list, &rq->queue);
	else
		list_add_tail(&t->run_list, &rq->queue);
	rq->nr_running++;
}

static void dequeue(struct task_struct *t)
{
	list_del_init(&t->run_list);
	t->on_rq = 0;
	per_cpu_ptr(&runqueues, t->cpu)->nr_running--;
}

/* True when the task slept. One that is about to sleep but has not left its CPU yet stays there. */
int wake_up_state(struct task_struct *t, unsigned int state)
{
	unsigned long flags;
	int woken = 0;

	raw_spin_lock_irqsave(&sched_lock, flags);
	if (t->__state & state) {
		t->__state = TASK_RUNNING;
		woken = 1;
		if (!t->on_cpu) {
			struct rq *rq;

			enqueue(t, select_task_rq(t));
			rq = per_cpu_ptr(&runqueues, t->cpu);
			if (rq->curr == rq->idle || t->rt_priority)
				resched_curr(rq);
		}
	}
	raw_spin_unlock_irqrestore(&sched_lock, flags);
	return woken;
}

int wake_up_process(struct task_struct *t)
{
	return wake_up_state(t, TASK_NORMAL);
}

void signal_wake_up(struct task_struct *t)
{
	if (!wake_up_state(t, TASK_INTERRUPTIBLE) && t->on_cpu && t->cpu != smp_processor_id())
		smp_send_reschedule(t->cpu); /* it runs: it looks when it goes back to user mode */
}

void wake_up_new_task(struct task_struct *t)
{
	unsigned long flags;
	struct rq *rq;

	raw_spin_lock_irqsave(&sched_lock, flags);
	t->__state = TASK_RUNNING;
	enqueue(t, select_task_rq(t));
	rq = per_cpu_ptr(&runqueues, t->cpu);
	if (rq->curr == rq->idle)
		resched_curr(rq);
	raw_spin_unlock_irqrestore(&sched_lock, flags);
}

/* The next task of this CPU; with nothing of its own it takes over what waits elsewhere. */
static struct task_struct *pick_next_task(struct rq *rq)
{
	struct task_struct *t;
	int cpu;

	if (!list_empty(&rq->queue)) {
		t = list_first_entry(&rq->queue, struct task_struct, run_list);
		dequeue(t);
		return t;
	}
	for_each_online_cpu(cpu)
		list_for_each_entry(t, &per_cpu_ptr(&runqueues, cpu)->queue, run_list)
			if (t->cpus_mask.bits[0] >> rq->cpu & 1) {
				dequeue(t);
				t->cpu = rq->cpu;
				return t;
			}
	return rq->idle;
}

/* The other half of a switch, in the task switched to. */
static void finish_task_switch(struct task_struct *prev)
{
	bool unwaited = prev->__state == TASK_DEAD && prev->exit_state == EXIT_DEAD;

	__atomic_store_n(&prev->on_cpu, 0, __ATOMIC_RELEASE); /* from here on who waits for it may have released it */
	raw_spin_unlock(&sched_lock);
	local_irq_enable();
	if (unlikely(unwaited)) {
		lock_kernel();
		release_task(prev);
		unlock_kernel();
	}
}

/* Scheduling where it must not be: said once per switch, and the count is put right. */
static noinline void __schedule_bug(struct task_struct *prev)
{
	printk(KERN_ERR "BUG: scheduling while atomic: %s/%d/0x%08x\n", prev->comm, prev->pid, preempt_count());
	print_modules();
	if (panic_on_warn)
		panic("scheduling while atomic");
	dump_stack();
	add_taint(TAINT_WARN, LOCKDEP_STILL_OK);
}

static noinline void __schedule(void)
{
	struct rq *rq = this_cpu_ptr(&runqueues);
	struct task_struct *prev = current, *next;

	kasan_check_async();
	if (unlikely(*(unsigned long *)prev->stack != STACK_END_MAGIC))
		panic("corrupted stack end detected inside scheduler\n");
	if (unlikely(preempt_count() != PREEMPT_OFFSET)) {
		__schedule_bug(prev);
		preempt_count_set(PREEMPT_OFFSET);
	}
	local_irq_disable();
	rcu_note_context_switch();
	raw_spin_lock(&sched_lock);
	__atomic_fetch_and(&prev->thread_info.flags, ~(1UL << TIF_NEED_RESCHED), __ATOMIC_RELAXED);
	if (prev->__state == TASK_RUNNING) {
		prev->nivcsw++;
		if (prev->cpus_mask.bits[0] >> rq->cpu & 1)
			enqueue(prev, rq->cpu);
		else {
			enqueue(prev, select_task_rq(prev));
			resched_curr(per_cpu_ptr(&runqueues, prev->cpu));
		}
	} else
		prev->nvcsw++;
	next = pick_next_task(rq);
	rq->clock = sched_clock();
	if (next == prev) {
		raw_spin_unlock(&sched_lock);
		local_irq_enable();
		return;
	}
	next->on_cpu = 1;
	rq->curr = next;
	next->sched_info.last_arrival = rq->clock;
	next->sched_info.pcount++;
	prev = __switch_to_asm(prev, next);
	barrier();
	finish_task_switch(prev);
}

noinline void schedule(void)
{
	int depth = release_kernel_lock();

	do {
		preempt_disable();
		__schedule();
		preempt_enable();
	} while (need_resched());
	reacquire_kernel_lock(depth);
}

/* A task's last switch away. */
noinline void do_task_dead(void)
{
	local_irq_disable();
	current->__state = TASK_DEAD;
	release_kernel_lock();
	preempt_disable();
	__schedule();
	BUG();
}

void schedule_idle(void)
{
	do {
		preempt_disable();
		__schedule();
		preempt_enable();
	} while (need_resched());
}

void cond_resched(void)
{
	if (need_resched())
		schedule();
}

/* First steps of a new task: it comes out of a switch like any other. */
void schedule_tail(struct task_struct *prev)
{
	finish_task_switch(prev);
	preempt_count_set(0);
}

int set_cpus_allowed(struct task_struct *t, unsigned long mask)
{
	unsigned long flags;

	if (!(mask & __cpu_online_mask.bits[0]) || t->flags & PF_NO_SETAFFINITY)
		return -EINVAL;
	raw_spin_lock_irqsave(&sched_lock, flags);
	t->cpus_mask.bits[0] = mask;
	t->nr_cpus_allowed = __builtin_popcountl(mask);
	if (!(mask >> t->cpu & 1)) {
		if (t->on_rq) {
			dequeue(t);
			enqueue(t, select_task_rq(t));
		}
		resched_curr(per_cpu_ptr(&runqueues, t->cpu));
	}
	raw_spin_unlock_irqrestore(&sched_lock, flags);
	if (t == current)
		cond_resched();
	return 0;
}

void scheduler_tick(void)
{
	struct rq *rq = this_cpu_ptr(&runqueues);

	if (current != rq->idle) {
		current->utime++;
		set_tsk_need_resched(current);
	} else if (!list_empty(&rq->queue))
		set_tsk_need_resched(current);
}

/* A function that may sleep was called where nothing may. */
noinline void __might_sleep(const char *file, int line)
{
	static unsigned long prev_jiffy;

	if ((!in_atomic() && !irqs_disabled() && current->pid) || system_state == SYSTEM_BOOTING || oops_in_progress)
		return;
	if (prev_jiffy && jiffies - prev_jiffy < HZ) /* a flood says no more than one */
		return;
	prev_jiffy = jiffies;
	pr_err("BUG: sleeping function called from invalid context at %s:%d\n", file, line);
	pr_err("in_atomic(): %d, irqs_disabled(): %d, non_block: %d, pid: %d, name: %s\n", in_atomic(), irqs_disabled(), 0,
	       current->pid, current->comm);
	pr_err("preempt_count: %x, expected: %x\n", preempt_count(), 0);
	pr_err("RCU nest depth: %d, expected: %u\n", 0, 0);
	dump_stack();
	add_taint(TAINT_WARN, LOCKDEP_STILL_OK);
}

/* `task:sh state:D ...` and its stack, as sysrq and the hung task watchdog show it. */
void sched_show_task(struct task_struct *t)
{
	static const char letters[] = "RSDTtXZPI";
	unsigned int state = t->__state | t->exit_state, bit = 0;

	while (state) {
		state >>= 1;
		bit++;
	}
	pr_info("task:%-15.15s state:%c", t->comm, bit < sizeof(letters) - 1 ? letters[bit] : '?');
	if (t->__state == TASK_RUNNING)
		pr_cont("  running task    ");
	pr_cont(" stack:%-5lu pid:%-5d ppid:%-6d flags:0x%08lx\n", 0UL, t->pid, t->real_parent->pid, t->thread_info.flags);
	print_worker_info(KERN_INFO, t);
	show_stack(t, NULL, KERN_INFO);
}

void show_state_filter(unsigned int state)
{
	struct task_struct *t;
	unsigned long flags;
	bool locked = tasklist_lock_forgiving(&flags);

	for_each_process(t) {
		touch_nmi_watchdog();
		touch_all_softlockup_watchdogs();
		if (!state || (t->__state & state && !t->exit_state))
			sched_show_task(t);
	}
	tasklist_unlock(locked, flags);
}
EXPORT_SYMBOL(schedule);
EXPORT_SYMBOL(__might_sleep);
EXPORT_SYMBOL(wake_up_process);
EXPORT_SYMBOL(cond_resched);
