#ifndef _LINUX_COMPLETION_H
#define _LINUX_COMPLETION_H
#include <linux/wait.h>
/* Wait for something to be done; done counts completions that nobody has waited for yet. */
struct completion { unsigned int done; wait_queue_head_t wait; };
#define COMPLETION_INITIALIZER(n) { 0, { __SPIN_LOCK_UNLOCKED, LIST_HEAD_INIT((n).wait.head) } }
#define DECLARE_COMPLETION(n) struct completion n = COMPLETION_INITIALIZER(n)
void init_completion(struct completion *x);
void complete(struct completion *x);
void wait_for_completion(struct completion *x);
#endif
