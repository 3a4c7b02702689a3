/* Sleeping until something happens: wait queues, completions, mutexes. Mirrors Linux kernel/sched/{wait,completion}.c and locking/mutex.c. */
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

void init_waitqueue_head(wait_queue_head_t *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}

void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry, unsigned int state)
{
	unsigned long flags;

	spin_lock_irqsave(&wq->lock, flags);
	if (list_empty(&entry->entry))
		list_add_tail(&entry->entry, &wq->head);
	set_current_state(state);
	spin_unlock_irqrestore(&wq->lock, flags);
}

void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry)
{
	unsigned long flags;

	__set_current_state(TASK_RUNNING);
	spin_lock_irqsave(&wq->lock, flags);
	list_del_init(&entry->entry);
	spin_unlock_irqrestore(&wq->lock, flags);
}

static void wake_up_locked(wait_queue_head_t *wq)
{
	struct wait_queue_entry *w;

	list_for_each_entry(w, &wq->head, entry)
		wake_up_process(w->task);
}

void wake_up(wait_queue_head_t *wq)
{
	unsigned long flags;

	spin_lock_irqsave(&wq->lock, flags);
	wake_up_locked(wq);
	spin_unlock_irqrestore(&wq->lock, flags);
}

void init_completion(struct completion *x)
{
	x->done = 0;
	init_waitqueue_head(&x->wait);
}

/*
 * A completion often lies on the stack of who waits for it and is gone when that one has seen `done`: both look at
 * it under its lock alone, which the completer lets go last.
 */
void complete(struct completion *x)
{
	unsigned long flags;

	spin_lock_irqsave(&x->wait.lock, flags);
	x->done++;
	wake_up_locked(&x->wait);
	spin_unlock_irqrestore(&x->wait.lock, flags);
}

static noinline void __wait_for_common(struct completion *x)
{
	struct wait_queue_entry entry = { .task = current };
	unsigned long flags;

	spin_lock_irqsave(&x->wait.lock, flags);
	list_add_tail(&entry.entry, &x->wait.head);
	while (!x->done) {
		__set_current_state(TASK_UNINTERRUPTIBLE);
		spin_unlock_irqrestore(&x->wait.lock, flags);
		schedule_timeout(MAX_SCHEDULE_TIMEOUT);
		spin_lock_irqsave(&x->wait.lock, flags);
	}
	x->done--;
	list_del(&entry.entry);
	spin_unlock_irqrestore(&x->wait.lock, flags);
}

void wait_for_completion(struct completion *x)
{
	might_sleep();
	__wait_for_common(x);
}

static bool mutex_trylock(struct mutex *lock)
{
	s64 expected = 0;

	return __atomic_compare_exchange_n(&lock->owner.counter, &expected, (s64)current, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static noinline void __mutex_lock(struct mutex *lock)
{
	struct wait_queue_entry entry = { .task = current };

	INIT_LIST_HEAD(&entry.entry);
	for (;;) {
		prepare_to_wait(&lock->wait, &entry, TASK_UNINTERRUPTIBLE);
		if (mutex_trylock(lock))
			break;
		schedule();
	}
	finish_wait(&lock->wait, &entry);
}

void mutex_lock(struct mutex *lock)
{
	might_sleep();
	if (!mutex_trylock(lock))
		__mutex_lock(lock);
}

void mutex_unlock(struct mutex *lock)
{
	__atomic_store_n(&lock->owner.counter, 0, __ATOMIC_RELEASE);
	wake_up(&lock->wait);
}
EXPORT_SYMBOL(init_completion);
EXPORT_SYMBOL(complete);
EXPORT_SYMBOL(wait_for_completion);
EXPORT_SYMBOL(mutex_lock);
EXPORT_SYMBOL(mutex_unlock);
EXPORT_SYMBOL(wake_up);
EXPORT_SYMBOL(prepare_to_wait);
EXPORT_SYMBOL(finish_wait);
