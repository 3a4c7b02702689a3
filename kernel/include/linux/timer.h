/* Timers in jiffies, time of day, sleeping. */
#ifndef _LINUX_TIMER_H
#define _LINUX_TIMER_H
#include <linux/sched.h>

#define INITIAL_JIFFIES ((unsigned long)(unsigned int)(-300 * HZ))
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define msecs_to_jiffies(ms) ((unsigned long)(ms) * HZ / 1000)

struct timer_list { struct list_head entry; unsigned long expires; void (*function)(struct timer_list *); u32 flags; };
#define from_timer(var, timer, field) container_of(timer, __typeof__(*var), field)
void timer_setup(struct timer_list *timer, void (*function)(struct timer_list *), unsigned int flags);
int mod_timer(struct timer_list *timer, unsigned long expires);
int del_timer(struct timer_list *timer);
/* Also waits until its function is not running elsewhere. */
int del_timer_sync(struct timer_list *timer);
#define add_timer(t) ((void)mod_timer(t, (t)->expires))

struct timespec64 { long tv_sec, tv_nsec; };
void ktime_get_real_ts64(struct timespec64 *ts);
void ktime_get_ts64(struct timespec64 *ts);
long ktime_get_real_seconds(void);
/* Sets the time of day; arch reads it from the RTC once. */
void timekeeping_init(long seconds);
void timers_init(void);
void tick_handle_periodic(struct pt_regs *regs);
void msleep(unsigned int ms);
#endif
