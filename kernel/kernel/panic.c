/* panic(), taint, WARN: what the kernel says and does when it can't go on, or nearly. Mirrors Linux kernel/panic.c. */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/kexec.h>
#include <linux/module.h>
#include <linux/notifier.h>

int panic_timeout, panic_on_oops, panic_on_warn;
unsigned long tainted_mask;
atomic_t panic_cpu = { -1 };
struct atomic_notifier_head panic_notifier_list;
static int crash_kexec_post_notifiers;

const struct taint_flag taint_flags[TAINT_FLAGS_COUNT] = {
	{ 'P', 'G', true }, { 'F', ' ', true }, { 'S', ' ', false }, { 'R', ' ', false }, { 'M', ' ', false },
	{ 'B', ' ', false }, { 'U', ' ', false }, { 'D', ' ', false }, { 'A', ' ', false }, { 'W', ' ', false },
	{ 'C', ' ', true }, { 'I', ' ', false }, { 'O', ' ', true }, { 'E', ' ', true }, { 'L', ' ', false },
	{ 'K', ' ', true }, { 'X', ' ', true }, { 'T', ' ', true },
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

void add_taint(unsigned int flag, enum lockdep_ok ok)
{
	tainted_mask |= 1UL << flag;
}

void oops_enter(void)
{
}

/* The line that tells tools a report is over. */
void print_oops_end_marker(void)
{
	pr_warn("---[ end trace %016lx ]---\n", 0UL);
}

void oops_exit(void)
{
	print_oops_end_marker();
}

void show_regs_print_info(const char *level)
{
	dump_stack_print_info(level);
}

void dump_stack_print_info(const char *level)
{
	printk("%sCPU: %d PID: %d Comm: %.20s %s %s %.*s\n", level, smp_processor_id(), current->pid, current->comm,
	       print_tainted(), init_uts_ns.name.release, (int)strlen("#1 "), init_uts_ns.name.version);
	if (hardware_name()[0])
		printk("%sHardware name: %s\n", level, hardware_name());
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

void panic(const char *fmt, ...)
{
	static char buf[1024];
	va_list args;
	size_t n;

	local_irq_disable();
	if (panic_on_warn) /* a warning on the way must not panic again */
		panic_on_warn = 0;
	if (panic_cpu.counter != -1) /* panic inside panic: nothing left that could be trusted */
		for (;;)
			__asm__ volatile("hlt");
	panic_cpu.counter = smp_processor_id();
	console_loglevel = 15;
	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	n = strlen(buf);
	if (n && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	pr_emerg("Kernel panic - not syncing: %s\n", buf);
	if (!test_taint(TAINT_DIE) && oops_in_progress <= 1)
		dump_stack();
	if (!crash_kexec_post_notifiers)
		__crash_kexec(NULL);
	atomic_notifier_call_chain(&panic_notifier_list, 0, buf);
	if (crash_kexec_post_notifiers)
		__crash_kexec(NULL);
	if (panic_timeout > 0) {
		pr_emerg("Rebooting in %d seconds..\n", panic_timeout);
		for (int i = 0; i < panic_timeout; i++)
			mdelay(1000);
	}
	if (panic_timeout)
		machine_restart(NULL);
	pr_emerg("---[ end Kernel panic - not syncing: %s ]---\n", buf);
	for (;;)
		__asm__ volatile("hlt");
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
	if (panic_on_warn) {
		panic("kernel: panic_on_warn set ...\n");
	}
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
EXPORT_SYMBOL(panic);
EXPORT_SYMBOL(warn_slowpath_fmt);
EXPORT_SYMBOL(__warn_printk);
EXPORT_SYMBOL(__stack_chk_fail);
EXPORT_SYMBOL(add_taint);
