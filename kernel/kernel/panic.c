/* panic(), taint, WARN: what the kernel says and does when it can't go on, or nearly. Mirrors Linux kernel/panic.c. */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/console.h>
#include <linux/kexec.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/interrupt.h>
#include <linux/kmsg_dump.h>
#include <linux/notifier.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/smp.h>

int panic_timeout, panic_on_oops, panic_on_warn;
unsigned long tainted_mask;
atomic_t panic_cpu = { -1 };
struct atomic_notifier_head panic_notifier_list;
int crash_kexec_post_notifiers;
static unsigned long panic_print;
static int sysctl_oops_all_cpu_backtrace;
atomic_t oops_count, warn_count;
int oops_limit = 10000, warn_limit;

const struct taint_flag taint_flags[TAINT_FLAGS_COUNT] = {
	{ 'P', 'G', true }, { 'F', ' ', true }, { 'S', ' ', false }, { 'R', ' ', false }, { 'M', ' ', false },
	{ 'B', ' ', false }, { 'U', ' ', false }, { 'D', ' ', false }, { 'A', ' ', false }, { 'W', ' ', false },
	{ 'C', ' ', true }, { 'I', ' ', false }, { 'O', ' ', true }, { 'E', ' ', true }, { 'L', ' ', false },
	{ 'K', ' ', true }, { 'X', ' ', true }, { 'T', ' ', true }, { 'N', ' ', true },
};

const char *print_tainted(void)
{
	static char buf[TAINT_FLAGS_COUNT + 16];
	char *s = buf;

	if (!tainted_mask)
		return "Not tainted";
	s += snprintf(s, sizeof(buf), "Tainted: ");
	for (int i = 0; i < TAINT_FLAGS_COUNT; i++)
		*s++ = tainted_mask >> i & 1 ? taint_flags[i].c_true : taint_flags[i].c_false;
	*s = 0;
	return buf;
}

int test_taint(unsigned int flag)
{
	return tainted_mask >> flag & 1;
}

/* Flags that are not survived; and whether a program may set one of them. */
unsigned long panic_on_taint;
bool panic_on_taint_nousertaint;
/* Lock debugging is off for good after the first report that makes it unreliable. */
static int debug_locks = 1;

void add_taint(unsigned int flag, enum lockdep_ok ok)
{
	if (ok == LOCKDEP_NOW_UNRELIABLE && __atomic_exchange_n(&debug_locks, 0, __ATOMIC_RELAXED))
		pr_warn("Disabling lock debugging due to kernel taint\n");
	__atomic_fetch_or(&tainted_mask, 1UL << flag, __ATOMIC_RELAXED);
	if (tainted_mask & panic_on_taint) {
		panic_on_taint = 0;
		panic("panic_on_taint set ...");
	}
}

static int panic_on_taint_setup(char *value)
{
	char *end;
	unsigned long mask = simple_strtoul(value, &end, 16) & ((1UL << TAINT_FLAGS_COUNT) - 1);

	if (end == value || !mask)
		return 0;
	panic_on_taint = mask;
	panic_on_taint_nousertaint = !strcmp(end, ",nousertaint");
	pr_info("panic_on_taint: bitmask=0x%lx nousertaint_mode=%s\n", panic_on_taint, panic_on_taint_nousertaint ? "enabled" : "disabled");
	return 1;
}
early_param("panic_on_taint=", panic_on_taint_setup);

/* Messages get through even if the one that holds their lock never lets go. */
void bust_spinlocks(int yes)
{
	__atomic_fetch_add(&oops_in_progress, yes ? 1 : -1, __ATOMIC_SEQ_CST);
}

void oops_enter(void)
{
	debug_locks = 0;
	if (sysctl_oops_all_cpu_backtrace)
		trigger_all_cpu_backtrace(false);
}

/* The line that tells tools a report is over. */
void print_oops_end_marker(void)
{
	pr_warn("---[ end trace %016lx ]---\n", 0UL);
}

void oops_exit(void)
{
	print_oops_end_marker();
	kmsg_dump(KMSG_DUMP_OOPS);
}

void show_regs_print_info(const char *level)
{
	dump_stack_print_info(level);
}

void dump_stack_print_info(const char *level)
{
	char id[BUILD_ID_TEXT];

	printk("%sCPU: %d PID: %d Comm: %.20s %s%s %s %.*s%s\n", level, smp_processor_id(), current->pid, current->comm,
	       kexec_crash_image ? "Kdump: loaded " : "", print_tainted(), init_uts_ns.name.release, (int)strlen("#1 "), init_uts_ns.name.version,
	       stacktrace_build_id ? build_id_text(vmlinux_build_id, id) + 1 : "");
	if (hardware_name()[0])
		printk("%sHardware name: %s\n", level, hardware_name());
	print_worker_info(level, current);
}

/* Where the kernel lies: the first of the chain's subscribers, and there is no KASLR (Linux: dump_kernel_offset). */
static int dump_kernel_offset(struct notifier_block *nb, unsigned long action, void *data)
{
	pr_emerg("Kernel Offset: disabled\n");
	return NOTIFY_DONE;
}
static struct notifier_block kernel_offset_notifier = { .notifier_call = dump_kernel_offset };

static int register_kernel_offset_dumper(void)
{
	return atomic_notifier_chain_register(&panic_notifier_list, &kernel_offset_notifier);
}
core_initcall(register_kernel_offset_dumper);

#define PANIC_PRINT_TASK_INFO 1
#define PANIC_PRINT_MEM_INFO 2
#define PANIC_PRINT_TIMER_INFO 4
#define PANIC_PRINT_ALL_PRINTK_MSG 0x20
#define PANIC_PRINT_ALL_CPU_BT 0x40

/*
 * `panic_print=`: what else is worth knowing; at the very end the whole log once more. 8 and 10h are nothing without lockdep
 * and without tracing, as in Linux.
 */
static void panic_print_sys_info(bool console_flush)
{
	if (console_flush) {
		if (panic_print & PANIC_PRINT_ALL_PRINTK_MSG)
			console_replay_all();
		return;
	}
	if (panic_print & PANIC_PRINT_TASK_INFO)
		show_state_filter(0);
	if (panic_print & PANIC_PRINT_MEM_INFO)
		show_mem();
	if (panic_print & PANIC_PRINT_TIMER_INFO)
		sysrq_timer_list_show();
}

/* Makes this CPU the one that panics: true; false when it was already; another CPU's panic does not return. */
static bool claim_panic(void)
{
	int expected = -1, cpu = smp_processor_id();

	if (__atomic_compare_exchange_n(&panic_cpu.counter, &expected, cpu, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return true;
	if (expected != cpu)
		panic_smp_self_stop();
	return false;
}

void nmi_panic(struct pt_regs *regs, const char *msg)
{
	int expected = -1, cpu = smp_processor_id();

	if (__atomic_compare_exchange_n(&panic_cpu.counter, &expected, cpu, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		panic("%s", msg);
	else if (expected != cpu)
		nmi_panic_self_stop(regs);
}

void panic(const char *fmt, ...)
{
	static char buf[1024];
	static int depth;
	va_list args;
	size_t n;

	if (panic_on_warn) /* a warning on the way must not panic again */
		panic_on_warn = 0;
	local_irq_disable();
	preempt_disable();
	claim_panic();
	if (++depth > 3) /* panic inside panic inside panic: nothing left that could be trusted */
		for (;;)
			__asm__ volatile("hlt");
	console_verbose();
	bust_spinlocks(1);
	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	n = strlen(buf);
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	pr_emerg("Kernel panic - not syncing: %s\n", buf);
	if (!test_taint(TAINT_DIE) && oops_in_progress <= 1)
		dump_stack();
	/* Once stopped they can't; and a crash kernel shows more. */
	if (panic_print & PANIC_PRINT_ALL_CPU_BT && (crash_kexec_post_notifiers || !kexec_crash_image))
		trigger_all_cpu_backtrace(true);
	if (!crash_kexec_post_notifiers) {
		__crash_kexec(NULL);
		smp_send_stop();
	} else
		crash_smp_send_stop();
	printk_bust_locks();
	atomic_notifier_call_chain(&panic_notifier_list, 0, buf);
	panic_print_sys_info(false);
	kmsg_dump(KMSG_DUMP_PANIC);
	if (crash_kexec_post_notifiers)
		__crash_kexec(NULL);
	panic_print_sys_info(true);
	if (panic_timeout > 0) {
		pr_emerg("Rebooting in %d seconds..\n", panic_timeout);
		for (int i = 0; i < panic_timeout; i++) {
			touch_nmi_watchdog();
			mdelay(1000);
		}
	}
	if (panic_timeout)
		emergency_restart();
	pr_emerg("---[ end Kernel panic - not syncing: %s ]---\n", buf);
	for (;;)
		__asm__ volatile("hlt");
}

/* After a warning: some kernels are not to go on, and some only so often. */
static void check_panic_on_warn(const char *origin)
{
	int limit = READ_ONCE(warn_limit);

	if (panic_on_warn)
		panic("%s: panic_on_warn set ...\n", origin);
	if (__atomic_add_fetch(&warn_count.counter, 1, __ATOMIC_SEQ_CST) >= limit && limit)
		panic("%s: system warned too often (kernel.warn_limit is %d)", origin, limit);
}

void __warn(const char *file, int line, void *caller, unsigned int taint, struct pt_regs *regs, const char *fmt,
	    va_list *args)
{
	if (file)
		pr_warn("WARNING: CPU: %d PID: %d at %s:%d %pS\n", smp_processor_id(), current->pid, file, line, caller);
	else
		pr_warn("WARNING: CPU: %d PID: %d at %pS\n", smp_processor_id(), current->pid, caller);
	if (args)
		vprintk(fmt, *args);
	print_modules();
	if (regs)
		show_regs(regs);
	check_panic_on_warn("kernel");
	if (!regs)
		dump_stack();
	print_oops_end_marker();
	add_taint(taint, LOCKDEP_STILL_OK);
}

void __warn_printk(const char *fmt, ...)
{
	va_list args;

	pr_warn("------------[ cut here ]------------\n");
	va_start(args, fmt);
	vprintk(fmt, args);
	va_end(args);
}

void warn_slowpath_fmt(const char *file, int line, unsigned int taint, const char *fmt, ...)
{
	va_list args;

	pr_warn("------------[ cut here ]------------\n");
	va_start(args, fmt);
	__warn(file, line, __builtin_return_address(0), taint, NULL, fmt, &args);
	va_end(args);
}

void __stack_chk_fail(void) __noreturn;
void __stack_chk_fail(void)
{
	panic("stack-protector: Kernel stack is corrupted in: %pB", __builtin_return_address(0));
}

static int oops_setup(char *value)
{
	if (!strcmp(value, "panic"))
		panic_on_oops = 1;
	return 1;
}
__setup("oops=", oops_setup);
static int panic_setup(char *value)
{
	panic_timeout = simple_strtol(value, NULL, 0);
	return 1;
}
__setup("panic=", panic_setup);
static int panic_on_oops_setup(char *value)
{
	panic_on_oops = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("panic_on_oops=", panic_on_oops_setup);
static int panic_on_warn_setup(char *value)
{
	panic_on_warn = 1;
	return 1;
}
__setup("panic_on_warn", panic_on_warn_setup);
static int post_notifiers_setup(char *value)
{
	crash_kexec_post_notifiers = 1;
	return 1;
}
__setup("crash_kexec_post_notifiers", post_notifiers_setup);
static int panic_print_setup(char *value)
{
	panic_print = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("panic_print=", panic_print_setup);

static int show_count(struct seq_file *m, void *data)
{
	seq_printf(m, "%d\n", ((atomic_t *)data)->counter);
	return 0;
}

static int show_panic_print(struct seq_file *m, void *data)
{
	seq_printf(m, "%lu\n", panic_print);
	return 0;
}

static int store_panic_print(const char *text, size_t n, void *data)
{
	char *end;
	unsigned long value = simple_strtoul(text, &end, 0);

	if (end == text)
		return -EINVAL;
	panic_print = value;
	return 0;
}

static const struct text_file files[] = {
	{ "/sys/kernel/oops_count", 0444, show_count, NULL, &oops_count },
	{ "/sys/kernel/warn_count", 0444, show_count, NULL, &warn_count },
	{ "/proc/sys/kernel/panic_print", 0644, show_panic_print, store_panic_print, NULL },
};

static int panic_files_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		register_text_file(&files[i]);
	register_sysctl_int("/proc/sys/kernel/oops_limit", &oops_limit);
	register_sysctl_int("/proc/sys/kernel/warn_limit", &warn_limit);
	register_sysctl_int("/proc/sys/kernel/oops_all_cpu_backtrace", &sysctl_oops_all_cpu_backtrace);
	register_sysctl_int("/proc/sys/kernel/unknown_nmi_panic", &unknown_nmi_panic);
	register_sysctl_int("/proc/sys/kernel/panic_on_unrecovered_nmi", &panic_on_unrecovered_nmi);
	register_sysctl_int("/proc/sys/kernel/panic_on_io_nmi", &panic_on_io_nmi);
	register_sysctl_int("/proc/sys/kernel/panic_on_rcu_stall", &sysctl_panic_on_rcu_stall);
	register_sysctl_int("/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress", &rcu_cpu_stall_suppress);
	register_sysctl_int("/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout", &rcu_cpu_stall_timeout);
	register_sysctl_int("/sys/module/kernel/parameters/panic", &panic_timeout);
	register_sysctl_int("/sys/module/kernel/parameters/panic_on_warn", &panic_on_warn);
	register_sysctl_int("/sys/module/kernel/parameters/crash_kexec_post_notifiers", &crash_kexec_post_notifiers);
	return 0;
}
fs_initcall(panic_files_init);
EXPORT_SYMBOL(panic);
EXPORT_SYMBOL(nmi_panic);
EXPORT_SYMBOL(warn_slowpath_fmt);
EXPORT_SYMBOL(__warn_printk);
EXPORT_SYMBOL(__stack_chk_fail);
EXPORT_SYMBOL(add_taint);
