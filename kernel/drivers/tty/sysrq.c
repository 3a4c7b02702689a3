/* The magic keys: by /proc/sysrq-trigger, or BREAK and a letter on the console. Mirrors Linux drivers/tty/sysrq.c. */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "tty.h"

static int sysrq_enabled = 1;
struct sysrq_key_op { char key; void (*handler)(int key); const char *help_msg, *action_msg; };

static void sysrq_handle_loglevel(int key)
{
	pr_info("sysrq: Loglevel set to %d\n", key - '0');
	console_loglevel = key - '0';
}

static void sysrq_handle_reboot(int key)
{
	local_irq_enable();
	emergency_restart();
}

static noinline void sysrq_handle_crash(int key)
{
	panic("sysrq triggered crash\n");
}

static void send_sig_all(int sig)
{
	unsigned long flags;
	struct task_struct *t;

	raw_spin_lock_irqsave(&tasklist_lock, flags);
	for_each_process(t)
		if (!(t->flags & PF_KTHREAD) && t->pid != 1)
			send_sig(sig, t);
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
}

static void sysrq_handle_term(int key)
{
	send_sig_all(SIGTERM);
	console_loglevel = 8;
}

static void sysrq_handle_kill(int key)
{
	send_sig_all(SIGKILL);
	console_loglevel = 8;
}

static void sysrq_handle_showallcpus(int key)
{
	trigger_all_cpu_backtrace(true);
}

static void sysrq_handle_showmem(int key)
{
	show_mem();
}

static void sysrq_handle_show_timers(int key)
{
	sysrq_timer_list_show();
}

static void sysrq_handle_showregs(int key)
{
	struct pt_regs *regs = in_hardirq() ? get_irq_regs() : NULL;

	if (regs)
		show_regs(regs);
}

static void sysrq_handle_showstate(int key)
{
	show_state_filter(0);
}

static void sysrq_handle_showstate_blocked(int key)
{
	show_state_filter(TASK_UNINTERRUPTIBLE);
}

static void sysrq_handle_sync(int key)
{
	pr_info("Emergency Sync complete\n"); /* every file system is memory */
}

static const struct sysrq_key_op sysrq_key_table[] = {
	{ '0', sysrq_handle_loglevel, "loglevel(0-9)", "Changing Loglevel" },
	{ 'b', sysrq_handle_reboot, "reboot(b)", "Resetting" },
	{ 'c', sysrq_handle_crash, "crash(c)", "Trigger a crash" },
	{ 'e', sysrq_handle_term, "terminate-all-tasks(e)", "Terminate All Tasks" },
	{ 'i', sysrq_handle_kill, "kill-all-tasks(i)", "Kill All Tasks" },
	{ 'l', sysrq_handle_showallcpus, "show-backtrace-all-active-cpus(l)", "Show backtrace of all active CPUs" },
	{ 'm', sysrq_handle_showmem, "show-memory-usage(m)", "Show Memory" },
	{ 'p', sysrq_handle_showregs, "show-registers(p)", "Show Regs" },
	{ 'q', sysrq_handle_show_timers, "show-all-timers(q)", "Show clockevent devices & pending hrtimers (no others)" },
	{ 's', sysrq_handle_sync, "sync(s)", "Emergency Sync" },
	{ 't', sysrq_handle_showstate, "show-task-states(t)", "Show State" },
	{ 'w', sysrq_handle_showstate_blocked, "show-blocked-tasks(w)", "Show Blocked State" },
};

noinline void __handle_sysrq(int key)
{
	const struct sysrq_key_op *op = NULL;
	int old = console_loglevel;

	for (size_t i = 0; i < ARRAY_SIZE(sysrq_key_table) && !op; i++)
		if (sysrq_key_table[i].key == (key > '0' && key <= '9' ? '0' : key))
			op = &sysrq_key_table[i];
	console_loglevel = 7;
	if (op) {
		pr_info("sysrq: %s\n", op->action_msg);
		console_loglevel = old;
		op->handler(key);
		return;
	}
	pr_info("sysrq: HELP : ");
	for (size_t i = 0; i < ARRAY_SIZE(sysrq_key_table); i++)
		pr_cont("%s ", sysrq_key_table[i].help_msg);
	pr_cont("\n");
	console_loglevel = old;
}

/* From the console: only what the mask allows. */
void handle_sysrq(int key)
{
	if (sysrq_enabled)
		__handle_sysrq(key);
}

/* Whoever may write here may ask for anything. */
static noinline int write_sysrq_trigger(const char *text, size_t n, void *data)
{
	if (n)
		__handle_sysrq(text[0]);
	return 0;
}
static const struct text_file trigger_file = { "/proc/sysrq-trigger", 0200, NULL, write_sysrq_trigger, NULL };

static int sysrq_init(void)
{
	register_sysctl_int("/proc/sys/kernel/sysrq", &sysrq_enabled);
	return register_text_file(&trigger_file);
}
device_initcall(sysrq_init);

static int sysrq_always_enabled_setup(char *value)
{
	return sysrq_enabled = 1;
}
__setup("sysrq_always_enabled", sysrq_always_enabled_setup);
