/* khungtaskd looks for tasks that have waited without a break for too long. Mirrors Linux kernel/hung_task.c. */
#include <asm/processor.h>
#include <linux/console.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

static int sysctl_hung_task_timeout_secs = 120, sysctl_hung_task_warnings = 10, sysctl_hung_task_panic, sysctl_hung_task_all_cpu_backtrace;
static struct task_struct *watchdog_task;
static bool hung_task_call_panic;

static noinline void check_hung_task(struct task_struct *t, unsigned long timeout)
{
	unsigned long switch_count = t->nvcsw + t->nivcsw;

	if (!switch_count)
		return;
	if (switch_count != t->last_switch_count) {
		t->last_switch_count = switch_count;
		t->last_switch_time = jiffies;
		return;
	}
	if ((long)(jiffies - (t->last_switch_time + timeout * HZ)) < 0)
		return;
	if (sysctl_hung_task_panic) {
		console_verbose();
		hung_task_call_panic = true;
	}
	if (!sysctl_hung_task_warnings)
		return;
	if (sysctl_hung_task_warnings > 0)
		sysctl_hung_task_warnings--;
	pr_err("INFO: task %s:%d blocked for more than %ld seconds.\n", t->comm, t->pid, (long)(jiffies - t->last_switch_time) / HZ);
	pr_err("      %s %s %.*s\n", print_tainted(), init_uts_ns.name.release, (int)(strchr(init_uts_ns.name.version, ' ') - init_uts_ns.name.version),
	       init_uts_ns.name.version);
	pr_err("\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n");
	sched_show_task(t);
	if (sysctl_hung_task_all_cpu_backtrace)
		trigger_all_cpu_backtrace(true);
	touch_nmi_watchdog();
}

/* The big kernel lock keeps tasks from going away under the look. */
static noinline void check_hung_uninterruptible_tasks(unsigned long timeout)
{
	struct task_struct *t;

	hung_task_call_panic = false;
	lock_kernel();
	for_each_process(t)
		if (t->__state == TASK_UNINTERRUPTIBLE && !t->exit_state)
			check_hung_task(t, timeout);
	unlock_kernel();
	if (hung_task_call_panic)
		panic("hung_task: blocked tasks");
}

static noinline int watchdog(void *dummy)
{
	for (;;) {
		unsigned long timeout = sysctl_hung_task_timeout_secs;
		long left = schedule_timeout_interruptible(timeout ? timeout * HZ : MAX_SCHEDULE_TIMEOUT);

		if (left <= 0)
			check_hung_uninterruptible_tasks(timeout);
	}
	return 0;
}

static int show_timeout(struct seq_file *m, void *data)
{
	seq_printf(m, "%d\n", sysctl_hung_task_timeout_secs);
	return 0;
}

static int store_timeout(const char *text, size_t n, void *data)
{
	char *end;
	long value = simple_strtol(text, &end, 0);

	if (end == text || value < 0 || value > 0x7fffffff / HZ)
		return -EINVAL;
	sysctl_hung_task_timeout_secs = value;
	wake_up_process(watchdog_task);
	return 0;
}
static const struct text_file timeout_file = { "/proc/sys/kernel/hung_task_timeout_secs", 0644, show_timeout, store_timeout, NULL };

static int hung_task_init(void)
{
	watchdog_task = kthread_run(watchdog, NULL, "khungtaskd");
	if (IS_ERR(watchdog_task))
		return PTR_ERR(watchdog_task);
	register_text_file(&timeout_file);
	register_sysctl_int("/proc/sys/kernel/hung_task_warnings", &sysctl_hung_task_warnings);
	register_sysctl_int("/proc/sys/kernel/hung_task_panic", &sysctl_hung_task_panic);
	register_sysctl_int("/proc/sys/kernel/hung_task_all_cpu_backtrace", &sysctl_hung_task_all_cpu_backtrace);
	return 0;
}
fs_initcall(hung_task_init);

static int hung_task_panic_setup(char *value)
{
	sysctl_hung_task_panic = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("hung_task_panic=", hung_task_panic_setup);
