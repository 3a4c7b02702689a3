/*
 * Timers in hard interrupt context, at the grain of the tick: each CPU's list, in order of time. The tick itself
 * is what the local APIC's timer interrupt is for. Mirrors Linux kernel/time/hrtimer.c and tick-sched.c.
 */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/module.h>

DEFINE_PER_CPU(struct list_head, hrtimer_bases);

void hrtimers_init_cpu(int cpu)
{
	INIT_LIST_HEAD(per_cpu_ptr(&hrtimer_bases, cpu));
}

void hrtimer_init(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *))
{
	INIT_LIST_HEAD(&timer->node);
	timer->function = function;
	timer->queued = false;
}

static void enqueue(struct hrtimer *timer)
{
	struct list_head *base = this_cpu_ptr(&hrtimer_bases);
	struct hrtimer *at;

	list_for_each_entry(at, base, node)
		if (timer->expires < at->expires)
			break;
	list_add_tail(&timer->node, &at->node);
	timer->queued = true;
}

void hrtimer_start(struct hrtimer *timer, u64 ns)
{
	unsigned long flags = local_irq_save();

	if (!timer->queued) {
		timer->expires = sched_clock() + ns;
		enqueue(timer);
	}
	local_irq_restore(flags);
}

void hrtimer_forward_now(struct hrtimer *timer, u64 ns)
{
	timer->expires = sched_clock() + ns;
}

static noinline void __hrtimer_run_queues(struct list_head *base, u64 now)
{
	while (!list_empty(base)) {
		struct hrtimer *timer = list_first_entry(base, struct hrtimer, node);

		if (timer->expires > now)
			return;
		list_del_init(&timer->node);
		timer->queued = false;
		if (timer->function(timer) == HRTIMER_RESTART)
			enqueue(timer);
	}
}

noinline void hrtimer_interrupt(void)
{
	struct list_head *base = this_cpu_ptr(&hrtimer_bases);

	if (!list_empty(base))
		__hrtimer_run_queues(base, sched_clock());
	tick_sched(get_irq_regs());
}
EXPORT_SYMBOL(hrtimer_init);
EXPORT_SYMBOL(hrtimer_start);
EXPORT_SYMBOL(hrtimer_forward_now);
