/*
 * The big kernel lock: one system call at a time changes files, tasks and address spaces, as in Linux 2.2 to
 * 2.6.38. It is let go when its holder sleeps or dies, and around drivers' code, so that a program stuck in a
 * driver leaves the other processors alone. Interrupts, allocators, the scheduler and printk have spinlocks of
 * their own. Mirrors Linux 2.6 lib/kernel_lock.c.
 */
#include <linux/sched.h>
#include <linux/spinlock.h>

static arch_spinlock_t kernel_flag;

/* lock_depth: -1 free, 0 held. It does not nest. */
void lock_kernel(void)
{
	if (current->lock_depth++ < 0)
		arch_spin_lock(&kernel_flag);
}

void unlock_kernel(void)
{
	if (--current->lock_depth < 0)
		arch_spin_unlock(&kernel_flag);
}

/* The depth to come back to. */
int release_kernel_lock(void)
{
	int depth = current->lock_depth;

	if (depth >= 0) {
		current->lock_depth = -1;
		arch_spin_unlock(&kernel_flag);
	}
	return depth;
}

void reacquire_kernel_lock(int depth)
{
	if (depth < 0)
		return;
	arch_spin_lock(&kernel_flag);
	current->lock_depth = depth;
}
