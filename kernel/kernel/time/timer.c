/*
 * Timers in jiffies: each CPU has its list in order of time, run by its timer soft interrupt; jiffies themselves;
 * sleeping for a time. Mirrors Linux kernel/time/timer.c (a sorted list in place of its wheel) and tick-common.c.
 */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

unsigned long long jiffies_64 = (unsigned long long)(unsigned int)(-300 * HZ);
extern unsigned long volatile jiffies __attribute__((alias("jiffies_64")));
unsigned long avenrun[3];
extern struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; } shadow_timekeeper;
static DEFINE_RAW_SPINLOCK(jiffies_lock);
static u64 last_jiffies_update; /* ns */

struct timer_base { raw_spinlock_t lock; struct timer_list *running_timer; struct list_head list; };
DEFINE_PER_CPU(struct timer_base, timer_bases);

/* Whichever CPU ticks first brings jiffies up to the clock: a CPU that hears no interrupts does not stop time. */
static void tick_do_update_jiffies64(void)
{
	static unsigned long ticks;
	u64 now = sched_clock();

	if (now - READ_ONCE(last_jiffies_update) < 1000000000 / HZ || !raw_spin_trylock(&jiffies_lock))
		return;
	while (now - last_jiffies_update >= 1000000000 / HZ) {
		last_jiffies_update += 1000000000 / HZ;
		jiffies_64++;
		if (++ticks % HZ == 0)
			shadow_timekeeper.xtime_sec++;
	}
	raw_spin_unlock(&jiffies_lock);
}

void tick_sched(struct pt_regs *regs)
{
	tick_do_update_jiffies64();
	run_local_timers();
	rcu_sched_clock_irq(user_mode(regs));
	scheduler_tick();
}

static struct timer_base *lock_base(struct timer_list *timer, unsigned long *flags)
{
	for (;;) {
		int cpu = READ_ONCE(timer->cpu);
		struct timer_base *base = per_cpu_ptr(&timer_bases, cpu);

		raw_spin_lock_irqsave(&base->lock, *flags);
		if (timer->cpu == cpu)
			return base;
		raw_spin_unlock_irqrestore(&base->lock, *flags);
	}
}

void timer_setup(struct timer_list *timer, void (*function)(struct timer_list *), unsigned int flags)
{
	INIT_LIST_HEAD(&timer->entry);
	timer->function = function;
	timer->pending = false;
	timer->cpu = smp_processor_id();
}

static void insert(struct timer_base *base, struct timer_list *timer)
{
	struct timer_list *at;

	if (!base->list.next)
		INIT_LIST_HEAD(&base->list);
	list_for_each_entry(at, &base->list, entry)
		if ((long)(timer->expires - at->expires) < 0)
			break;
	list_add_tail(&timer->entry, &at->entry);
	timer->pending = true;
}

int del_timer(struct timer_list *timer)
{
	unsigned long flags;
	struct timer_base *base = lock_base(timer, &flags);
	int was = timer->pending;

	if (was)
		list_del_init(&timer->entry);
	timer->pending = false;
	raw_spin_unlock_irqrestore(&base->lock, flags);
	return was;
}

int del_timer_sync(struct timer_list *timer)
{
	struct timer_base *base = per_cpu_ptr(&timer_bases, timer->cpu);
	int was = del_timer(timer);

	while (READ_ONCE(base->running_timer) == timer)
		cpu_relax();
	return was;
}

void add_timer_on(struct timer_list *timer, int cpu)
{
	unsigned long flags;
	struct timer_base *base;

	del_timer(timer);
	timer->cpu = cpu;
	base = lock_base(timer, &flags);
	insert(base, timer);
	raw_spin_unlock_irqrestore(&base->lock, flags);
}

void add_timer(struct timer_list *timer)
{
	add_timer_on(timer, smp_processor_id());
}

int mod_timer(struct timer_list *timer, unsigned long expires)
{
	int was = del_timer(timer);

	timer->expires = expires;
	add_timer(timer);
	return was;
}

static noinline void call_timer_fn(struct timer_list *timer, void (*fn)(struct timer_list *))
{
	int count = preempt_count();

	fn(timer);
	if (count != preempt_count()) {
		WARN_ONCE(1, "timer: %pS preempt leak: %08x -> %08x\n", (void *)fn, count, preempt_count());
		preempt_count_set(count);
	}
}

static noinline void __run_timers(struct timer_base *base)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&base->lock, flags);
	while (!list_empty(&base->list)) {
		struct timer_list *timer = list_first_entry(&base->list, struct timer_list, entry);
		void (*fn)(struct timer_list *) = timer->function;

		if ((long)(jiffies - timer->expires) < 0)
			break;
		list_del_init(&timer->entry);
		timer->pending = false;
		base->running_timer = timer;
		raw_spin_unlock_irqrestore(&base->lock, flags);
		call_timer_fn(timer, fn);
		raw_spin_lock_irqsave(&base->lock, flags);
		base->running_timer = NULL;
	}
	raw_spin_unlock_irqrestore(&base->lock, flags);
}

static noinline void run_timer_softirq(void)
{
	__run_timers(this_cpu_ptr(&timer_bases));
}

/* In the tick: does anything wait for this jiffy? */
void run_local_timers(void)
{
	struct timer_base *base = this_cpu_ptr(&timer_bases);
	struct list_head *first = base->list.next;

	if (first && first != &base->list && (long)(jiffies - list_entry(first, struct timer_list, entry)->expires) >= 0)
		raise_softirq(TIMER_SOFTIRQ);
}

void init_timers(void)
{
	last_jiffies_update = sched_clock();
	open_softirq(TIMER_SOFTIRQ, run_timer_softirq);
}

struct process_timer { struct timer_list timer; struct task_struct *task; };

static void process_timeout(struct timer_list *t)
{
	wake_up_process(container_of(t, struct process_timer, timer)->task);
}

/* The caller has set its state. What was left of the time when something else woke it. */
noinline long schedule_timeout(unsigned long timeout)
{
	struct process_timer timer = { .task = current };
	unsigned long expires = jiffies + timeout;

	if (timeout == MAX_SCHEDULE_TIMEOUT) {
		schedule();
		return timeout;
	}
	timer_setup(&timer.timer, process_timeout, 0);
	timer.timer.expires = expires;
	add_timer(&timer.timer);
	schedule();
	del_timer_sync(&timer.timer);
	return (long)(expires - jiffies) < 0 ? 0 : (long)(expires - jiffies);
}

long schedule_timeout_interruptible(unsigned long timeout)
{
	__set_current_state(TASK_INTERRUPTIBLE);
	return schedule_timeout(timeout);
}

long schedule_timeout_uninterruptible(unsigned long timeout)
{
	__set_current_state(TASK_UNINTERRUPTIBLE);
	return schedule_timeout(timeout);
}

noinline void msleep(unsigned int ms)
{
	unsigned long timeout = (unsigned long)ms * HZ / 1000 + 1;

	while (timeout)
		timeout = schedule_timeout_uninterruptible(timeout);
}
EXPORT_SYMBOL(jiffies);
EXPORT_SYMBOL(timer_setup);
EXPORT_SYMBOL(add_timer);
EXPORT_SYMBOL(mod_timer);
EXPORT_SYMBOL(del_timer_sync);
EXPORT_SYMBOL(schedule_timeout);
EXPORT_SYMBOL(msleep);
