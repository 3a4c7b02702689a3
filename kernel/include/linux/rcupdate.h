/* Functions to be called when every CPU has been where nothing can be held over from before. Mirrors Linux include/linux/rcupdate.h. */
#ifndef _LINUX_RCUPDATE_H
#define _LINUX_RCUPDATE_H
#include <linux/types.h>

/* head lies in the object that func is about; func runs in soft interrupt context. */
void call_rcu(struct callback_head *head, void (*func)(struct callback_head *head));
/* Waits for all functions that were asked for before. */
void rcu_barrier(void);
/* A grace period ends and the next one begins. */
void rcu_advance_cbs(void);
#endif
