/* Waiting for a spinlock that somebody else holds. Mirrors Linux kernel/locking/qspinlock.c without its queue. */
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

/*
 * A waiter with interrupts off still answers calls of other processors: two that wait for each other's lock and
 * call function would otherwise wait for ever.
 */
noinline void native_queued_spin_lock_slowpath(struct qspinlock *lock)
{
	while (READ_ONCE(lock->val.counter) || !arch_spin_trylock(lock))
		cpu_relax();
}
EXPORT_SYMBOL(native_queued_spin_lock_slowpath);
