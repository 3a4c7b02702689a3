/* Sleeping locks: mutex (one owner) and semaphore (a count). */
#ifndef _LINUX_MUTEX_H
#define _LINUX_MUTEX_H
#include <linux/wait.h>

struct mutex { atomic_long_t owner; wait_queue_head_t wait; };
#define __MUTEX_INITIALIZER(n) { { 0 }, { __SPIN_LOCK_UNLOCKED, LIST_HEAD_INIT((n).wait.head) } }
#define DEFINE_MUTEX(n) struct mutex n = __MUTEX_INITIALIZER(n)
void mutex_init(struct mutex *lock);
void mutex_lock(struct mutex *lock);
int mutex_trylock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);

struct semaphore { spinlock_t lock; int count; wait_queue_head_t wait; };
void sema_init(struct semaphore *sem, int count);
void down(struct semaphore *sem);
void up(struct semaphore *sem);
#endif
