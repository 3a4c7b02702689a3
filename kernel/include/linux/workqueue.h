/* Work that a kernel thread does later, in process context. */
#ifndef _LINUX_WORKQUEUE_H
#define _LINUX_WORKQUEUE_H
#include <linux/timer.h>
#include <linux/wait.h>

struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);
struct work_struct { atomic_long_t data; struct list_head entry; work_func_t func; };
struct delayed_work { struct work_struct work; struct timer_list timer; struct workqueue_struct *wq; };
struct workqueue_struct;
extern struct workqueue_struct *system_wq;
#define __WORK_INITIALIZER(n, f) { { 0 }, LIST_HEAD_INIT((n).entry), f }
#define DECLARE_WORK(n, f) struct work_struct n = __WORK_INITIALIZER(n, f)
#define INIT_WORK(w, f) do { (w)->data.counter = 0; INIT_LIST_HEAD(&(w)->entry); (w)->func = f; } while (0)
struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max_active);
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
#define schedule_work(w) queue_work(system_wq, w)
void flush_workqueue(struct workqueue_struct *wq);
void workqueue_init(void);
#endif
