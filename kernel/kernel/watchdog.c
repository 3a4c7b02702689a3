/*
 * Watchdogs of each CPU. Soft lockup: the stopper thread does not get to run, the timer that counts on it does.
 * Hard lockup: not even that timer runs; an NMI notices. There is no performance counter to raise it, so the
 * 8254 does, through the I/O APIC, on every CPU (`nmi_watchdog=1`, off otherwise). Mirrors Linux
 * kernel/watchdog.c and watchdog_hld.c.
 */
#include <asm/apic.h>
#include <asm/stacktrace.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>

#define SOFTLOCKUP_DELAY_REPORT (~0UL)
int watchdog_thresh = 10, softlockup_panic, hardlockup_panic, sysctl_softlockup_all_cpu_backtrace, sysctl_hardlockup_all_cpu_backtrace;
int soft_watchdog_user_enabled = 1, nmi_watchdog_user_enabled;

DEFINE_PER_CPU(unsigned long, watchdog_touch_ts);
DEFINE_PER_CPU(unsigned long, watchdog_report_ts);
DEFINE_PER_CPU(struct hrtimer, watchdog_hrtimer);
DEFINE_PER_CPU(struct task_struct *, cpu_stopper);
DEFINE_PER_CPU(unsigned long, hrtimer_interrupts);
DEFINE_PER_CPU(unsigned long, hrtimer_interrupts_saved);
DEFINE_PER_CPU(u64, nmi_next_check);
DEFINE_PER_CPU(bool, hard_watchdog_warn);
DEFINE_PER_CPU(bool, watchdog_nmi_touch);
static bool nmi_clock_runs;

static unsigned long get_timestamp(void)
{
	return sched_clock() >> 30; /* seconds, nearly */
}

static u64 sample_period(void)
{
	return watchdog_thresh * 2 * (1000000000ull / 5);
}

void touch_softlockup_watchdog(void)
{
	this_cpu_write(watchdog_report_ts, SOFTLOCKUP_DELAY_REPORT);
}

void touch_all_softlockup_watchdogs(void)
{
	int cpu;

	for_each_online_cpu(cpu)
		per_cpu(watchdog_report_ts, cpu) = SOFTLOCKUP_DELAY_REPORT;
}

void touch_nmi_watchdog(void)
{
	this_cpu_write(watchdog_nmi_touch, true);
	touch_softlockup_watchdog();
}

/* What the stopper does whenever the timer wakes it: it has run, so the CPU schedules. */
static int cpu_stopper_thread(void *data)
{
	current->rt_priority = 99;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		schedule();
		this_cpu_write(watchdog_touch_ts, get_timestamp());
		this_cpu_write(watchdog_report_ts, get_timestamp());
	}
	return 0;
}

static noinline enum hrtimer_restart watchdog_timer_fn(struct hrtimer *hrtimer)
{
	struct pt_regs *regs = get_irq_regs();
	unsigned long now = get_timestamp(), touch_ts = this_cpu_read(watchdog_touch_ts), period_ts = this_cpu_read(watchdog_report_ts);

	this_cpu_write(hrtimer_interrupts, this_cpu_read(hrtimer_interrupts) + 1);
	wake_up_process(this_cpu_read(cpu_stopper));
	hrtimer_forward_now(hrtimer, sample_period());
	if (period_ts == SOFTLOCKUP_DELAY_REPORT) {
		this_cpu_write(watchdog_report_ts, now);
		return HRTIMER_RESTART;
	}
	if (!soft_watchdog_user_enabled || (long)(now - (period_ts + watchdog_thresh * 2)) <= 0)
		return HRTIMER_RESTART;
	this_cpu_write(watchdog_report_ts, now);
	pr_emerg("watchdog: BUG: soft lockup - CPU#%d stuck for %lus! [%s:%d]\n", smp_processor_id(), now - touch_ts, current->comm, current->pid);
	print_modules();
	if (regs)
		show_regs(regs);
	else
		dump_stack();
	if (sysctl_softlockup_all_cpu_backtrace)
		trigger_all_cpu_backtrace(false);
	add_taint(TAINT_SOFTLOCKUP, LOCKDEP_STILL_OK);
	if (softlockup_panic)
		panic("softlockup: hung tasks");
	return HRTIMER_RESTART;
}

/* The timer of this CPU has not run since the last look. */
static bool is_hardlockup(void)
{
	unsigned long hrint = this_cpu_read(hrtimer_interrupts);

	if (this_cpu_read(hrtimer_interrupts_saved) == hrint)
		return true;
	this_cpu_write(hrtimer_interrupts_saved, hrint);
	return false;
}

static noinline void watchdog_overflow_callback(struct pt_regs *regs)
{
	if (this_cpu_read(watchdog_nmi_touch)) {
		this_cpu_write(watchdog_nmi_touch, false);
		return;
	}
	if (!is_hardlockup()) {
		this_cpu_write(hard_watchdog_warn, false);
		return;
	}
	if (this_cpu_read(hard_watchdog_warn))
		return;
	pr_emerg("NMI watchdog: Watchdog detected hard LOCKUP on cpu %d\n", smp_processor_id());
	print_modules();
	show_regs(regs);
	if (sysctl_hardlockup_all_cpu_backtrace)
		trigger_all_cpu_backtrace(false);
	if (hardlockup_panic)
		nmi_panic(regs, "Hard LOCKUP");
	this_cpu_write(hard_watchdog_warn, true);
}

/*
 * Is this NMI the 8254's? Its count has just started over then: within 5 ms of 65536 at 1.19 MHz (with several
 * CPUs, which would disturb each other's reading, it is taken for granted). It comes 18 times a second; the look
 * is taken every watchdog_thresh seconds.
 */
bool watchdog_nmi(struct pt_regs *regs)
{
	unsigned int count;
	u64 now = sched_clock();

	if (!nmi_clock_runs)
		return false;
	outb(0x43, 0);
	count = inb(0x40);
	count |= inb(0x40) << 8;
	if (count && count < 65536 - 6000 && num_online_cpus() == 1)
		return false;
	if (now < this_cpu_read(nmi_next_check))
		return true;
	if (this_cpu_read(nmi_next_check))
		watchdog_overflow_callback(regs);
	this_cpu_write(nmi_next_check, now + watchdog_thresh * 1000000000ull);
	return true;
}

/* Starts the watchdog of the CPU that runs this. */
static void watchdog_enable(void *info)
{
	struct hrtimer *timer = this_cpu_ptr(&watchdog_hrtimer);

	this_cpu_write(watchdog_touch_ts, get_timestamp());
	this_cpu_write(watchdog_report_ts, get_timestamp());
	hrtimer_init(timer, watchdog_timer_fn);
	hrtimer_start(timer, sample_period());
}

static int show_thresh(struct seq_file *m, void *data)
{
	seq_printf(m, "%d\n", *(int *)data);
	return 0;
}

static void restart(void *info)
{
	struct hrtimer *timer = this_cpu_ptr(&watchdog_hrtimer);

	if (timer->queued) {
		list_del_init(&timer->node);
		timer->queued = false;
	}
	this_cpu_write(nmi_next_check, 0);
	watchdog_enable(NULL);
}

static int store_thresh(const char *text, size_t n, void *data)
{
	char *end;
	long value = simple_strtol(text, &end, 0);

	if (end == text || value < 1 || value > 60)
		return -EINVAL;
	watchdog_thresh = value;
	on_each_cpu(restart, NULL, true);
	return 0;
}

static int store_nmi_watchdog(const char *text, size_t n, void *data)
{
	nmi_watchdog_user_enabled = simple_strtol(text, NULL, 0) != 0;
	nmi_clock_runs = nmi_watchdog_user_enabled;
	setup_nmi_clock(nmi_clock_runs);
	return 0;
}

static const struct text_file files[] = {
	{ "/proc/sys/kernel/watchdog_thresh", 0644, show_thresh, store_thresh, &watchdog_thresh },
	{ "/proc/sys/kernel/nmi_watchdog", 0644, show_thresh, store_nmi_watchdog, &nmi_watchdog_user_enabled },
};

static int lockup_detector_init(void)
{
	char name[16];
	int cpu;

	for_each_online_cpu(cpu) {
		struct task_struct *stopper;

		snprintf(name, sizeof(name), "migration/%d", cpu);
		stopper = kthread_create_on_cpu(cpu_stopper_thread, NULL, cpu, name);
		if (IS_ERR(stopper))
			return PTR_ERR(stopper);
		per_cpu(cpu_stopper, cpu) = stopper;
	}
	on_each_cpu(watchdog_enable, NULL, true);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		register_text_file(&files[i]);
	register_sysctl_int("/proc/sys/kernel/watchdog", &soft_watchdog_user_enabled);
	register_sysctl_int("/proc/sys/kernel/soft_watchdog", &soft_watchdog_user_enabled);
	register_sysctl_int("/proc/sys/kernel/softlockup_panic", &softlockup_panic);
	register_sysctl_int("/proc/sys/kernel/hardlockup_panic", &hardlockup_panic);
	register_sysctl_int("/proc/sys/kernel/softlockup_all_cpu_backtrace", &sysctl_softlockup_all_cpu_backtrace);
	register_sysctl_int("/proc/sys/kernel/hardlockup_all_cpu_backtrace", &sysctl_hardlockup_all_cpu_backtrace);
	setup_nmi_clock(nmi_watchdog_user_enabled);
	nmi_clock_runs = nmi_watchdog_user_enabled;
	return 0;
}
fs_initcall(lockup_detector_init);

#define INT_PARAMETER(parameter, variable)                               \
	static int variable##_setup(char *value)                         \
	{                                                                \
		variable = simple_strtoul(value, NULL, 0);               \
		return 1;                                                \
	}                                                                \
	__setup(parameter, variable##_setup)
INT_PARAMETER("softlockup_panic=", softlockup_panic);
INT_PARAMETER("softlockup_all_cpu_backtrace=", sysctl_softlockup_all_cpu_backtrace);
INT_PARAMETER("hardlockup_all_cpu_backtrace=", sysctl_hardlockup_all_cpu_backtrace);
INT_PARAMETER("watchdog_thresh=", watchdog_thresh);

/* `nmi_watchdog=[panic,|nopanic,][0|1]` */
static int hardlockup_panic_setup(char *value)
{
	if (!strncmp(value, "panic", 5))
		hardlockup_panic = 1;
	else if (!strncmp(value, "nopanic", 7))
		hardlockup_panic = 0;
	else
		nmi_watchdog_user_enabled = *value == '1';
	if (!strncmp(value, "panic", 5) || strchr(value, ','))
		nmi_watchdog_user_enabled = !strchr(value, ',') || strchr(value, ',')[1] == '1';
	return 1;
}
__setup("nmi_watchdog=", hardlockup_panic_setup);

static int nowatchdog_setup(char *value)
{
	soft_watchdog_user_enabled = 0;
	return 1;
}
__setup("nowatchdog", nowatchdog_setup);

static int nosoftlockup_setup(char *value)
{
	return nowatchdog_setup(value);
}
__setup("nosoftlockup", nosoftlockup_setup);
EXPORT_SYMBOL(touch_softlockup_watchdog);
EXPORT_SYMBOL(touch_nmi_watchdog);
