/*
 * What waits for its time, for SysRq q and `panic_print=4`. Mirrors Linux kernel/time/timer_list.c, of a kernel with one
 * clock for hrtimers and without clock event devices. Each piece is a message of its own, also where Linux means one line.
 */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/smp.h>

#define HRTIMER_MAX_CLOCK_BASES 1
#define HRTIMER_STATE_ENQUEUED 1

static void print_timer(struct hrtimer *timer, int idx, u64 now)
{
	printk(" #%d: <%p>, %ps", idx, timer, timer->function);
	printk(", S:%02x", timer->queued ? HRTIMER_STATE_ENQUEUED : 0);
	printk("\n");
	printk(" # expires at %lu-%lu nsecs [in %ld to %ld nsecs]\n", (unsigned long)timer->expires, (unsigned long)timer->expires,
	       (long)(timer->expires - now), (long)(timer->expires - now));
}

/* Bounded: the list of a machine that dies may lead anywhere. */
static void print_base(struct list_head *base, int index, u64 now)
{
	struct hrtimer *timer;
	int i = 0;

	printk("  .base:       %p\n", base);
	printk("  .index:      %d\n", index);
	printk("  .resolution: %u nsecs\n", 1000000000 / HZ);
	printk("  .get_time:   %ps\n", (void *)sched_clock);
	printk("active timers:\n");
	list_for_each_entry(timer, base, node) {
		if (i == 1000)
			break;
		print_timer(timer, i++, now);
	}
}

static void print_cpu(int cpu, u64 now)
{
	printk("cpu: %d\n", cpu);
	for (int i = 0; i < HRTIMER_MAX_CLOCK_BASES; i++) {
		printk(" clock %d:\n", i);
		print_base(per_cpu_ptr(&hrtimer_bases, cpu), i, now);
	}
	printk("\n");
}

void sysrq_timer_list_show(void)
{
	u64 now = sched_clock();

	printk("Timer List Version: v0.9\n");
	printk("HRTIMER_MAX_CLOCK_BASES: %d\n", HRTIMER_MAX_CLOCK_BASES);
	printk("now at %lu nsecs\n", (unsigned long)now);
	printk("\n");
	for (unsigned int cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (cpu_online(cpu))
			print_cpu(cpu, now);
}
