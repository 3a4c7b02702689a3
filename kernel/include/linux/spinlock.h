/*
 * Spinlocks that spin. Linux's struct names; the word is 0 when free and 1 when held, and a waiter tries until it
 * wins (a qspinlock without its queue). Holding one counts as atomic. Mirrors include/linux/spinlock.h.
 */
#ifndef _LINUX_SPINLOCK_H
#define _LINUX_SPINLOCK_H
#include <asm/processor.h>
#include <linux/preempt.h>

#define _Q_LOCKED_VAL 1
void native_queued_spin_lock_slowpath(struct qspinlock *lock);

static inline bool arch_spin_trylock(arch_spinlock_t *lock)
{
	int expected = 0;

	return __atomic_compare_exchange_n(&lock->val.counter, &expected, _Q_LOCKED_VAL, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static inline void arch_spin_lock(arch_spinlock_t *lock)
{
	if (unlikely(!arch_spin_trylock(lock)))
		native_queued_spin_lock_slowpath(lock);
}
static inline void arch_spin_unlock(arch_spinlock_t *lock)
{
	__atomic_store_n(&lock->val.counter, 0, __ATOMIC_RELEASE);
}

#define __RAW_SPIN_LOCK_UNLOCKED { { { 0 } } }
#define DEFINE_RAW_SPINLOCK(n) raw_spinlock_t n = __RAW_SPIN_LOCK_UNLOCKED
#define DEFINE_SPINLOCK(n) spinlock_t n = { __RAW_SPIN_LOCK_UNLOCKED }

static inline void raw_spin_lock(raw_spinlock_t *lock)
{
	preempt_disable();
	arch_spin_lock(&lock->raw_lock);
}
static inline void raw_spin_unlock(raw_spinlock_t *lock)
{
	arch_spin_unlock(&lock->raw_lock);
	preempt_enable();
}
static inline bool raw_spin_trylock(raw_spinlock_t *lock)
{
	preempt_disable();
	if (arch_spin_trylock(&lock->raw_lock))
		return true;
	preempt_enable();
	return false;
}
static inline unsigned long _raw_spin_lock_irqsave(raw_spinlock_t *lock)
{
	unsigned long flags = local_irq_save();

	raw_spin_lock(lock);
	return flags;
}
static inline void raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags)
{
	raw_spin_unlock(lock);
	local_irq_restore(flags);
}
#define raw_spin_lock_irqsave(lock, flags) ((flags) = _raw_spin_lock_irqsave(lock))

#define spin_lock(l) raw_spin_lock(&(l)->rlock)
#define spin_unlock(l) raw_spin_unlock(&(l)->rlock)
#define spin_trylock(l) raw_spin_trylock(&(l)->rlock)
#define spin_lock_irqsave(l, flags) raw_spin_lock_irqsave(&(l)->rlock, flags)
#define spin_unlock_irqrestore(l, flags) raw_spin_unlock_irqrestore(&(l)->rlock, flags)
#define spin_lock_init(l) ((l)->rlock.raw_lock.val.counter = 0)

/* The big kernel lock: system calls hold it; whoever sleeps lets go of it, and of nothing else. */
void lock_kernel(void);
void unlock_kernel(void);
/* Around what may take long or never end: sleep, a driver's code. */
int release_kernel_lock(void);
void reacquire_kernel_lock(int depth);
#endif
