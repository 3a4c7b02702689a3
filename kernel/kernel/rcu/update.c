/*
 * What waits for grace periods: functions that were asked for during one are called when the next one has ended.
 * Mirrors Linux kernel/rcu/tree.c (call_rcu, rcu_core) with one list for all CPUs.
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

/* In order: to be called; asked for before the period under way began; asked for since. */
static struct cblist { struct callback_head *head, **tail; } done, waiting, next;
static DEFINE_RAW_SPINLOCK(cblist_lock);

static void append(struct cblist *list, struct callback_head *head, struct callback_head **tail)
{
	if (!list->head)
		list->tail = &list->head;
	*list->tail = head;
	list->tail = tail;
}

void call_rcu(struct callback_head *head, void (*func)(struct callback_head *head))
{
	unsigned long flags;

	head->next = NULL;
	head->func = func;
	raw_spin_lock_irqsave(&cblist_lock, flags);
	append(&next, head, &head->next);
	raw_spin_unlock_irqrestore(&cblist_lock, flags);
}

void rcu_advance_cbs(void)
{
	unsigned long flags;

	if (!READ_ONCE(waiting.head) && !READ_ONCE(next.head))
		return;
	raw_spin_lock_irqsave(&cblist_lock, flags);
	if (waiting.head) {
		append(&done, waiting.head, waiting.tail);
		raise_softirq(RCU_SOFTIRQ);
	}
	waiting.head = NULL;
	if (next.head)
		append(&waiting, next.head, next.tail);
	next.head = NULL;
	raw_spin_unlock_irqrestore(&cblist_lock, flags);
}

static noinline void rcu_core(void)
{
	struct callback_head *head, *after;
	unsigned long flags;

	raw_spin_lock_irqsave(&cblist_lock, flags);
	head = done.head;
	done.head = NULL;
	raw_spin_unlock_irqrestore(&cblist_lock, flags);
	for (; head; head = after) {
		after = head->next;
		head->func(head);
	}
}

struct rcu_wait { struct callback_head head; struct completion done; };

static void barrier_callback(struct callback_head *head)
{
	complete(&container_of(head, struct rcu_wait, head)->done);
}

void rcu_barrier(void)
{
	struct rcu_wait wait;

	init_completion(&wait.done);
	call_rcu(&wait.head, barrier_callback);
	wait_for_completion(&wait.done);
}

static int rcu_init(void)
{
	open_softirq(RCU_SOFTIRQ, rcu_core);
	return 0;
}
core_initcall(rcu_init);
EXPORT_SYMBOL(call_rcu);
EXPORT_SYMBOL(rcu_barrier);
