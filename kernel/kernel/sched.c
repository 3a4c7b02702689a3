/*
 * The scheduler: one run queue, round robin, no preemption inside the kernel. A tick asks for a switch on the way
 * back to user mode. Mirrors Linux kernel/sched/core.c and wait.c.
 */
#include <asm/processor.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

DEFINE_PER_CPU(struct rq, runqueues);
DEFINE_PER_CPU(struct task_struct *, current_task);
static LIST_HEAD(run_queue);
struct task_struct *__switch_to_asm(struct task_struct *prev, struct task_struct *next);
/* Letters of `ps` in dump tools. */
static const char *const task_state_array[] __used = { "R (running)", "S (sleeping)", "D (disk sleep)", "T (stopped)", "t (tracing stop)", "X (dead)", "Z (zombie)", "P (parked)", "I (idle)" };

void sched_init(void)
{
	struct rq *rq = this_cpu_ptr(&runqueues);

	rq->curr = rq->idle = &init_task;
	rq->online = 1;
	for (int i = 0; i < 100; i++)
		INIT_LIST_HEAD(&rq->rt.active.queue[i]);
}

static void enqueue(struct task_struct *t)
{
	if (t->on_rq || t == this_cpu_ptr(&runqueues)->idle)
		return;
	t->on_rq = 1;
	list_add_tail(&t->run_list, &run_queue);
	this_cpu_ptr(&runqueues)->nr_running++;
}

void wake_up_process(struct task_struct *t)
{
	unsigned long flags = local_irq_save();

	if (t->__state == TASK_INTERRUPTIBLE || t->__state == TASK_UNINTERRUPTIBLE) {
		t->__state = TASK_RUNNING;
		t->wake_at = 0;
		enqueue(t);
	} else if (t->__state == TASK_RUNNING && !t->on_cpu)
		enqueue(t);
	local_irq_restore(flags);
}

static noinline void __schedule(void)
{
	struct rq *rq = this_cpu_ptr(&runqueues);
	struct task_struct *prev = current, *next = rq->idle;

	prev->thread_info.flags &= ~(1UL << TIF_NEED_RESCHED);
	if (prev->__state == TASK_RUNNING)
		enqueue(prev);
	if (!list_empty(&run_queue)) {
		next = list_first_entry(&run_queue, struct task_struct, run_list);
		list_del_init(&next->run_list);
		next->on_rq = 0;
		rq->nr_running--;
	}
	rq->clock = sched_clock();
	if (next == prev)
		return;
	prev->on_cpu = 0;
	next->on_cpu = 1;
	rq->curr = next;
	next->sched_info.last_arrival = rq->clock;
	next->sched_info.pcount++;
	prev = __switch_to_asm(prev, next);
	barrier();
	schedule_tail(prev);
}

noinline void schedule(void)
{
	unsigned long flags = local_irq_save();

	if (in_interrupt())
		printk(KERN_ERR "BUG: scheduling while atomic: %s/%d/0x%08x\n", current->comm, current->pid, preempt_count());
	__schedule();
	local_irq_restore(flags);
}

/* The dead task that was switched away from can now lose its stack. */
void schedule_tail(struct task_struct *prev)
{
	if (prev && prev->__state == TASK_DEAD && prev->stack && prev->exit_state == EXIT_DEAD) {
		vfree(prev->stack);
		prev->stack = NULL;
		kfree(prev);
	}
}

void scheduler_tick(void)
{
	struct task_struct *p;

	current->utime++;
	current->thread_info.flags |= 1UL << TIF_NEED_RESCHED;
	for_each_process(p)
		if (p->wake_at && jiffies >= p->wake_at)
			wake_up_process(p);
}

long schedule_timeout(unsigned long ticks)
{
	unsigned long flags = local_irq_save();

	current->__state = TASK_INTERRUPTIBLE;
	current->wake_at = jiffies + ticks;
	schedule();
	local_irq_restore(flags);
	return 0;
}

struct waiter { struct list_head entry; struct task_struct *task; };

int sleep_on(wait_queue_head_t *wq)
{
	struct waiter waiter = { .task = current };
	unsigned long flags = local_irq_save();

	list_add_tail(&waiter.entry, &wq->head);
	current->__state = TASK_INTERRUPTIBLE;
	schedule();
	list_del_init(&waiter.entry);
	local_irq_restore(flags);
	return signal_pending(current) ? -EINTR : 0;
}

void wake_up(wait_queue_head_t *wq)
{
	unsigned long flags = local_irq_save();
	struct waiter *w;

	list_for_each_entry(w, &wq->head, entry)
		wake_up_process(w->task);
	local_irq_restore(flags);
}
EXPORT_SYMBOL(schedule);
EXPORT_SYMBOL(schedule_timeout);
