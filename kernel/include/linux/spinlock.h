/* Spinlocks: test and set, with the preempt count held up so that a sleeper inside is found out. */
#ifndef _LINUX_SPINLOCK_H
#define _LINUX_SPINLOCK_H
#include <asm/processor.h>
#include <linux/atomic.h>
#include <linux/percpu.h>

#define __RAW_SPIN_LOCK_UNLOCKED { { { 0 } } }
#define __SPIN_LOCK_UNLOCKED { __RAW_SPIN_LOCK_UNLOCKED }
#define DEFINE_SPINLOCK(n) spinlock_t n = __SPIN_LOCK_UNLOCKED

/* The processor's own count: no other processor changes it, so add to memory through GS is enough. */
#define preempt_disable() __asm__ volatile("incl %%gs:%0" : "+m"(__preempt_count) : : "memory")
#define preempt_enable() __asm__ volatile("decl %%gs:%0" : "+m"(__preempt_count) : : "memory")

static inline void raw_spin_lock_init(raw_spinlock_t *l)
{
	atomic_set(&l->raw_lock.val, 0);
}
static inline bool raw_spin_trylock(raw_spinlock_t *l)
{
	preempt_disable();
	if (atomic_xchg(&l->raw_lock.val, 1) == 0)
		return true;
	preempt_enable();
	return false;
}
static inline void raw_spin_lock(raw_spinlock_t *l)
{
	preempt_disable();
	while (atomic_xchg(&l->raw_lock.val, 1))
		while (atomic_read(&l->raw_lock.val))
			cpu_relax();
}
static inline void raw_spin_unlock(raw_spinlock_t *l)
{
	__atomic_store_n(&l->raw_lock.val.counter, 0, __ATOMIC_RELEASE);
	preempt_enable();
}
#define raw_spin_lock_irqsave(l, f) do { f = local_irq_save(); raw_spin_lock(l); } while (0)
#define raw_spin_unlock_irqrestore(l, f) do { raw_spin_unlock(l); local_irq_restore(f); } while (0)

#define spin_lock_init(l) raw_spin_lock_init(&(l)->rlock)
#define spin_lock(l) raw_spin_lock(&(l)->rlock)
#define spin_trylock(l) raw_spin_trylock(&(l)->rlock)
#define spin_unlock(l) raw_spin_unlock(&(l)->rlock)
#define spin_lock_irqsave(l, f) raw_spin_lock_irqsave(&(l)->rlock, f)
#define spin_unlock_irqrestore(l, f) raw_spin_unlock_irqrestore(&(l)->rlock, f)
#define spin_lock_irq(l) do { local_irq_disable(); spin_lock(l); } while (0)
#define spin_unlock_irq(l) do { spin_unlock(l); local_irq_enable(); } while (0)
#define spin_is_locked(l) (atomic_read(&(l)->rlock.raw_lock.val) != 0)
#endif
