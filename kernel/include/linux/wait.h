/* Wait queues: an entry is queued before the condition is looked at, so no wake-up is lost. */
#ifndef _LINUX_WAIT_H
#define _LINUX_WAIT_H
#include <linux/sched.h>
#include <linux/spinlock.h>

struct wait_queue_entry { struct task_struct *private; struct list_head entry; };
#define DEFINE_WAIT(n) struct wait_queue_entry n = { current, LIST_HEAD_INIT((n).entry) }

static inline void init_waitqueue_head(wait_queue_head_t *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}
#define set_current_state(s) do { WRITE_ONCE(current->__state, s); smp_mb(); } while (0)
#define __set_current_state(s) WRITE_ONCE(current->__state, s)

void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *wait, unsigned int state);
void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *wait);

#define ___wait_event(wq, condition, state, sleep)                              \
	({                                                                      \
		int __ret = 0;                                                  \
		DEFINE_WAIT(__wait);                                            \
		for (;;) {                                                      \
			prepare_to_wait(&(wq), &__wait, state);                 \
			if (condition)                                          \
				break;                                          \
			if ((state) == TASK_INTERRUPTIBLE && signal_pending(current)) { \
				__ret = -EINTR;                                 \
				break;                                          \
			}                                                       \
			sleep;                                                  \
		}                                                               \
		finish_wait(&(wq), &__wait);                                    \
		__ret;                                                          \
	})
#define wait_event(wq, condition) ((void)___wait_event(wq, condition, TASK_UNINTERRUPTIBLE, schedule()))
#define wait_event_interruptible(wq, condition) ___wait_event(wq, condition, TASK_INTERRUPTIBLE, schedule())
#define wake_up_interruptible(wq) wake_up(wq)
#endif
