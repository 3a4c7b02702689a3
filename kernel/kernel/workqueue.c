/*
 * Work for kernel threads: the queue "events", with one thread for each CPU. A thread that dies of its work is
 * not replaced. Mirrors Linux kernel/workqueue.c.
 */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

struct worker_pool { raw_spinlock_t lock; struct list_head worklist; wait_queue_head_t wait; bool ready; };
DEFINE_PER_CPU(struct worker_pool, cpu_worker_pools);

bool schedule_work_on(int cpu, struct work_struct *work)
{
	struct worker_pool *pool = per_cpu_ptr(&cpu_worker_pools, cpu);
	unsigned long flags;

	if (__atomic_exchange_n(&work->pending, 1, __ATOMIC_ACQ_REL))
		return false;
	raw_spin_lock_irqsave(&pool->lock, flags);
	list_add_tail(&work->entry, &pool->worklist);
	raw_spin_unlock_irqrestore(&pool->lock, flags);
	wake_up(&pool->wait);
	return true;
}

bool schedule_work(struct work_struct *work)
{
	return schedule_work_on(smp_processor_id(), work);
}

static struct work_struct *next_work(struct worker_pool *pool)
{
	struct work_struct *work = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&pool->lock, flags);
	if (!list_empty(&pool->worklist)) {
		work = list_first_entry(&pool->worklist, struct work_struct, entry);
		list_del_init(&work->entry);
	}
	raw_spin_unlock_irqrestore(&pool->lock, flags);
	return work;
}

static noinline void process_one_work(struct work_struct *work)
{
	work_func_t func = work->func;

	current->current_work = work;
	current->current_work_func = (void *)func;
	__atomic_store_n(&work->pending, 0, __ATOMIC_RELEASE);
	func(work);
	current->current_work = NULL;
	if (unlikely(in_atomic())) {
		pr_err("BUG: workqueue leaked lock or atomic: %s/0x%08x/%d\n     last function: %ps\n", current->comm, preempt_count(),
		       current->pid, (void *)func);
		dump_stack();
		preempt_count_set(0);
	}
}

static int worker_thread(void *data)
{
	struct worker_pool *pool = data;
	struct work_struct *work;

	current->flags |= PF_WQ_WORKER;
	for (;;) {
		__wait_event(&pool->wait, (work = next_work(pool)), TASK_INTERRUPTIBLE);
		if (work)
			process_one_work(work);
	}
	return 0;
}

/* The line that says which work a thread is at. */
void print_worker_info(const char *log_lvl, struct task_struct *task)
{
	if (task->flags & PF_WQ_WORKER && task->current_work)
		printk("%sWorkqueue: %s %ps\n", log_lvl, "events", task->current_work_func);
}

static int workqueue_init(void)
{
	char name[16];
	int cpu;

	for_each_online_cpu(cpu) {
		struct worker_pool *pool = per_cpu_ptr(&cpu_worker_pools, cpu);

		INIT_LIST_HEAD(&pool->worklist);
		init_waitqueue_head(&pool->wait);
		snprintf(name, sizeof(name), "kworker/%d:0", cpu);
		kthread_create_on_cpu(worker_thread, pool, cpu, name);
	}
	return 0;
}
core_initcall(workqueue_init);
EXPORT_SYMBOL(schedule_work_on);
EXPORT_SYMBOL(schedule_work);
