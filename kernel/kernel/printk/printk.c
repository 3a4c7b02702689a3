/*
 * printk: one record a line into the ring buffer, then the console. Continuations (KERN_CONT, or a line without
 * its newline) are gathered until the line ends. Mirrors Linux kernel/printk/printk.c.
 */
#include <asm/processor.h>
#include <linux/console.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/printk_ringbuffer.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/kmsg_dump.h>
#include "internal.h"

#define LINE_MAX PRINTK_LINE_MAX
#define DEFAULT_LEVEL 4

int console_loglevel = 7;
int oops_in_progress;
static struct console *console_drivers;
static char line[LINE_MAX];
static size_t line_length;
static int line_level = -1;
static bool line_continues; /* its beginning had to be stored as a record of its own */
static bool ignore_loglevel;
static bool printk_console_no_auto_verbose;
extern bool printk_time;
static struct task_struct *line_owner;

/* One CPU prints at a time; it may interrupt itself (an NMI, a fault) and print then too. */
static arch_spinlock_t logbuf_lock;
static int logbuf_owner = -1;

static bool suppressed(int level)
{
	return level >= console_loglevel && !ignore_loglevel;
}

static void emit_to(struct console *con, const struct printk_info *info, const char *text, size_t n, char *buf)
{
	n = con->flags & CON_EXTENDED ? record_print_ext(info, text, n, buf, CONSOLE_EXT_LOG_MAX) :
					record_print_text(info, text, n, false, buf, CONSOLE_EXT_LOG_MAX);
	con->write(con, buf, n);
}

/* Tests look at what is said (Linux: the tracepoint `console`). */
void (*trace_console)(const char *text, size_t n);
EXPORT_SYMBOL(trace_console);

/* Stores a record and shows it. buf: CONSOLE_EXT_LOG_MAX bytes. */
static void emit(struct printk_info *info, const char *text, size_t n, char *buf)
{
	prb_store(info, text, n);
	if (unlikely(trace_console))
		trace_console(text, n);
	if (!suppressed(info->level))
		for (struct console *con = console_drivers; con; con = con->next)
			emit_to(con, info, text, n, buf);
}

static char console_buf[CONSOLE_EXT_LOG_MAX];

static void flush_line(bool newline)
{
	struct printk_info info = { .ts_nsec = sched_clock(), .level = line_level < 0 ? DEFAULT_LEVEL : line_level,
				    .caller_id = current ? current->pid : 0 };

	info.flags = (newline ? LOG_NEWLINE : 0) | (line_continues ? LOG_CONT : 0);
	emit(&info, line, line_length, console_buf);
	line_length = 0;
	line_level = -1;
	line_continues = false;
}

static const char *parse_prefix(const char *s, int *level, bool *cont)
{
	while (s[0] == 1 && s[1]) {
		if (s[1] == 'c')
			*cont = true;
		else
			*level = s[1] - '0';
		s += 2;
	}
	return s;
}

/* From inside printk itself: a record of its own at once, whatever line is under way. */
static int vprintk_nested(const char *fmt, va_list args)
{
	char text[512];
	int level = DEFAULT_LEVEL, n = vsnprintf(text, sizeof(text), fmt, args);
	bool cont = false;
	const char *s = parse_prefix(text, &level, &cont);
	size_t length = strlen(s);
	struct printk_info info = { .ts_nsec = sched_clock(), .level = level, .flags = LOG_NEWLINE, .caller_id = current->pid };
	static char nested_buf[CONSOLE_EXT_LOG_MAX];

	if (length && s[length - 1] == '\n')
		length--;
	emit(&info, s, length, nested_buf);
	return n;
}

/* A CPU that died with the lock does not keep the others from speaking of it. */
static void lock_logbuf(int cpu)
{
	for (unsigned long spins = 0; !arch_spin_trylock(&logbuf_lock); spins++) {
		if (spins > 1000000 && oops_in_progress)
			break;
		cpu_relax();
	}
	logbuf_owner = cpu;
}

int vprintk(const char *fmt, va_list args)
{
	static char text[LINE_MAX];
	unsigned long flags = local_irq_save();
	int level = -1, n, cpu = smp_processor_id();
	const char *s;
	bool cont = false;

	if (READ_ONCE(logbuf_owner) == cpu) {
		n = vprintk_nested(fmt, args);
		local_irq_restore(flags);
		return n;
	}
	lock_logbuf(cpu);
	n = vsnprintf(text, sizeof(text), fmt, args);
	s = parse_prefix(text, &level, &cont);
	if ((!cont || line_owner != current) && line_length)
		flush_line(false);
	if (cont && !line_length)
		line_continues = true;
	line_owner = current;
	if (level >= 0 && !line_length)
		line_level = level;
	for (const char *end = text + min((size_t)n, sizeof(text) - 1); s < end;) {
		const char *newline = memchr(s, '\n', end - s);
		size_t part = (newline ?: end) - s;

		memcpy(line + line_length, s, min(part, LINE_MAX - line_length));
		line_length += min(part, LINE_MAX - line_length);
		s += part;
		if (!newline)
			break;
		flush_line(true);
		if (++s < end && level >= 0)
			line_level = level;
	}
	logbuf_owner = -1;
	arch_spin_unlock(&logbuf_lock);
	local_irq_restore(flags);
	return n;
}

/* Everything that the log still holds. */
static void replay(struct console *con)
{
	static char text[LINE_MAX], buf[CONSOLE_EXT_LOG_MAX];
	struct printk_info info;

	for (u64 seq = prb_first_seq(); seq < prb_next_seq(); seq++) {
		int n = prb_read(seq, &info, text, sizeof(text));

		if (n >= 0 && !suppressed(info.level))
			emit_to(con, &info, text, n, buf);
	}
}

void console_replay_all(void)
{
	for (struct console *con = console_drivers; con; con = con->next)
		replay(con);
}

void register_console(struct console *con)
{
	replay(con);
	con->next = console_drivers;
	console_drivers = con;
	pr_info("printk: console [%s%d] enabled\n", con->name, con->index);
}

void console_verbose(void)
{
	if (console_loglevel && !printk_console_no_auto_verbose)
		console_loglevel = 15;
}

void devkmsg_emit(int facility, int level, const char *text)
{
	struct printk_info info = { .facility = facility, .level = level, .flags = LOG_NEWLINE, .caller_id = current->pid };
	unsigned long flags = local_irq_save();

	lock_logbuf(smp_processor_id());
	if (line_length)
		flush_line(false);
	info.ts_nsec = sched_clock();
	emit(&info, text, strlen(text), console_buf);
	logbuf_owner = -1;
	arch_spin_unlock(&logbuf_lock);
	local_irq_restore(flags);
}

/*
 * Who wants the log when the kernel dies: pstore, for one (Linux: kmsg_dump_register). In order of registration.
 */
static struct kmsg_dumper *dump_list;

int kmsg_dump_register(struct kmsg_dumper *dumper)
{
	struct kmsg_dumper **at = &dump_list;

	if (!dumper->dump)
		return -EINVAL;
	for (; *at; at = &(*at)->next)
		if (*at == dumper)
			return -EEXIST;
	dumper->next = NULL;
	*at = dumper;
	return 0;
}

int kmsg_dump_unregister(struct kmsg_dumper *dumper)
{
	for (struct kmsg_dumper **at = &dump_list; *at; at = &(*at)->next)
		if (*at == dumper) {
			*at = dumper->next;
			return 0;
		}
	return -ENOENT;
}

static bool always_kmsg_dump;

const char *kmsg_dump_reason_str(enum kmsg_dump_reason reason)
{
	static const char *const names[] = { "Unknown", "Panic", "Oops", "Emergency", "Shutdown" };

	return names[reason < ARRAY_SIZE(names) ? reason : 0];
}

void kmsg_dump(enum kmsg_dump_reason reason)
{
	for (struct kmsg_dumper *dumper = dump_list; dumper; dumper = dumper->next) {
		enum kmsg_dump_reason max = dumper->max_reason ? dumper->max_reason : always_kmsg_dump ? KMSG_DUMP_SHUTDOWN : KMSG_DUMP_OOPS;

		if (reason <= max)
			dumper->dump(dumper, reason);
	}
}

void kmsg_dump_rewind(struct kmsg_dump_iter *iter)
{
	iter->cur_seq = max(prb_first_seq(), clear_seq.val[0]);
	iter->next_seq = prb_next_seq();
}

static size_t format_record(u64 seq, bool syslog, char *buf, size_t size)
{
	static char text[LINE_MAX];
	struct printk_info info;
	int n = prb_read(seq, &info, text, sizeof(text));

	return n < 0 ? 0 : record_print_text(&info, text, n, syslog, buf, size);
}

/* One record; false after the last. */
bool kmsg_dump_get_line(struct kmsg_dump_iter *iter, bool syslog, char *line, size_t size, size_t *len)
{
	size_t n = 0;

	iter->cur_seq = max(iter->cur_seq, prb_first_seq());
	while (!n && iter->cur_seq < prb_next_seq())
		n = format_record(iter->cur_seq++, syslog, line, size);
	if (len)
		*len = n;
	return n;
}

/* As many of the newest records before iter->next_seq as fit; the next call gives those before them. */
bool kmsg_dump_get_buffer(struct kmsg_dump_iter *iter, bool syslog, char *buf, size_t size, size_t *len_out)
{
	static char record[4 * LINE_MAX];
	u64 seq = iter->next_seq, first;
	size_t total = 0, done = 0;

	iter->cur_seq = max(iter->cur_seq, prb_first_seq());
	while (seq > iter->cur_seq) {
		size_t n = format_record(seq - 1, syslog, record, sizeof(record));

		if (total + n > size)
			break;
		total += n;
		seq--;
	}
	first = seq;
	for (; seq < iter->next_seq; seq++) {
		size_t n = format_record(seq, syslog, record, sizeof(record));

		memcpy(buf + done, record, n);
		done += n;
	}
	if (first == iter->next_seq)
		return false;
	iter->next_seq = first;
	if (len_out)
		*len_out = done;
	return true;
}

/* After CPUs were stopped in the middle of anything. */
void printk_bust_locks(void)
{
	if (logbuf_owner != smp_processor_id()) {
		logbuf_owner = -1;
		arch_spin_unlock(&logbuf_lock);
	}
}

int _printk(const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vprintk(fmt, args);
	va_end(args);
	return n;
}

static int loglevel_setup(char *value)
{
	console_loglevel = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("loglevel=", loglevel_setup);
static int quiet_setup(char *value)
{
	console_loglevel = 4;
	return 1;
}
__setup("quiet", quiet_setup);
static int debug_setup(char *value)
{
	console_loglevel = 10;
	return 1;
}
__setup("debug", debug_setup);
static int ignore_loglevel_setup(char *value)
{
	ignore_loglevel = true;
	pr_info("debug: ignoring loglevel setting.\n");
	return 1;
}
early_param("ignore_loglevel", ignore_loglevel_setup);

static int show_bool(struct seq_file *m, void *data)
{
	seq_printf(m, "%c\n", *(bool *)data ? 'Y' : 'N');
	return 0;
}

static int store_bool(const char *text, size_t n, void *data)
{
	if (!*text || !strchr("1yY0nN", *text))
		return -EINVAL;
	*(bool *)data = strchr("1yY", *text);
	return 0;
}

/* `printk.NAME`, `printk.NAME=y`, and the same in /sys/module/printk/parameters. */
#define PRINTK_SWITCH(name, variable)                                                                       \
	static int set_##name(char *value) { return *value ? !store_bool(value, 1, &variable) : (variable = true); } \
	early_param("printk." #name, set_##name);                                                           \
	early_param("printk." #name "=", set_##name)
PRINTK_SWITCH(time, printk_time);
PRINTK_SWITCH(ignore_loglevel, ignore_loglevel);
PRINTK_SWITCH(console_no_auto_verbose, printk_console_no_auto_verbose);
PRINTK_SWITCH(always_kmsg_dump, always_kmsg_dump);

#define PARAMETER(name, variable) { "/sys/module/printk/parameters/" name, 0644, show_bool, store_bool, &variable }
static const struct text_file parameters[] = {
	PARAMETER("time", printk_time), PARAMETER("ignore_loglevel", ignore_loglevel),
	PARAMETER("console_no_auto_verbose", printk_console_no_auto_verbose), PARAMETER("always_kmsg_dump", always_kmsg_dump),
};

static int printk_files_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		register_text_file(&parameters[i]);
	return 0;
}
fs_initcall(printk_files_init);
EXPORT_SYMBOL(_printk);
EXPORT_SYMBOL(kmsg_dump_register);
EXPORT_SYMBOL(kmsg_dump_unregister);
EXPORT_SYMBOL(kmsg_dump_get_line);
EXPORT_SYMBOL(kmsg_dump_get_buffer);
EXPORT_SYMBOL(kmsg_dump_rewind);
EXPORT_SYMBOL(kmsg_dump_reason_str);
