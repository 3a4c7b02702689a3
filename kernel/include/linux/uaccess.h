/* User memory: everything goes through __copy_user, whose faults end in a short copy. */
#ifndef _LINUX_UACCESS_H
#define _LINUX_UACCESS_H
#include <linux/mm.h>

static inline bool access_ok(const void __user *p, size_t n)
{
	return n <= TASK_SIZE && (unsigned long)p <= TASK_SIZE - n;
}
#define put_user(x, p) ({ __typeof__(*(p)) __x = (x); copy_to_user(p, &__x, sizeof(__x)) ? -EFAULT : 0; })
#define get_user(x, p) ({ __typeof__(*(p)) __x = 0; int __e = copy_from_user(&__x, p, sizeof(__x)) ? -EFAULT : 0; (x) = __x; __e; })
long strnlen_user(const char __user *s, long n);
#endif
