/* Kernel threads. kthread_run() is in sched.h. */
#ifndef _LINUX_KTHREAD_H
#define _LINUX_KTHREAD_H
#include <linux/sched.h>
struct task_struct *kthread_create(int (*fn)(void *), void *arg, const char *name);
int kthread_stop(struct task_struct *t);
bool kthread_should_stop(void);
int kthreadd(void *unused);
extern struct task_struct *kthreadd_task;
#endif
