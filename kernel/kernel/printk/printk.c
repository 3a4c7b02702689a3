/*
 * printk: one record a line into the ring buffer, then the console. Continuations (KERN_CONT, or a line without
 * its newline) are gathered until the line ends. Mirrors Linux kernel/printk/printk.c.
 */
#include <asm/processor.h>
#include <linux/console.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/printk_ringbuffer.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/kmsg_dump.h>
#include "internal.h"

#define LINE_MAX 1024
#define DEFAULT_LEVEL 4

int console_loglevel = 7;
int oops_in_progress;
static struct console *console_drivers;
static char line[LINE_MAX];
static size_t line_length;
static int line_level = -1;
static struct task_struct *line_owner;

/* One CPU prints at a time; it may interrupt itself (an NMI, a fault) and print then too. */
static arch_spinlock_t logbuf_lock;
static int logbuf_owner = -1;

static const char *find_newline(const char *s, size_t n)
{
	for (; n--; s++)
		if (*s == '\n')
			return s;
	return NULL;
}

/* `[    1.234567] text`, a stamp for each line. */
static void console_emit(struct console *con, u64 ns, const char *text, size_t length)
{
	char stamp[32];

	do {
		const char *end = find_newline(text, length);
		size_t part = end ? (size_t)(end - text) : length;

		con->write(con, stamp, snprintf(stamp, sizeof(stamp), "[%5lu.%06lu] ", (unsigned long)(ns / 1000000000),
						(unsigned long)(ns % 1000000000 / 1000)));
		con->write(con, text, part);
		con->write(con, "\n", 1);
		part += !!end;
		text += part;
		length -= part;
	} while (length);
}

void register_console(struct console *con)
{
	char text[LINE_MAX];
	struct printk_info info;

	con->next = console_drivers;
	console_drivers = con;
	for (u64 seq = prb_first_seq(); seq < prb_next_seq(); seq++) { /* what was said before there was a console */
		int n = prb_read(seq, &info, text, sizeof(text));

		if (n >= 0 && info.level < console_loglevel)
			console_emit(con, info.ts_nsec, text, n);
	}
}

static void flush_line(void)
{
	u64 now = sched_clock();
	int level = line_level < 0 ? DEFAULT_LEVEL : line_level;

	prb_store(level, now, current ? current->pid : 0, line, line_length);
	if (level < console_loglevel)
		for (struct console *con = console_drivers; con; con = con->next)
			console_emit(con, now, line, line_length);
	line_length = 0;
	line_level = -1;
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
	u64 now = sched_clock();

	if (length && s[length - 1] == '\n')
		length--;
	prb_store(level, now, current->pid, s, length);
	if (level < console_loglevel)
		for (struct console *con = console_drivers; con; con = con->next)
			console_emit(con, now, s, length);
	return n;
}

/* A CPU that died with the lock does not keep the others from speaking of it. */
static void lock_logbuf(int cpu)
{
	for (unsigned long spins = 0; !arch_spin_trylock(&logbuf_lock); spins++) {
		if (spins > 100000000 && oops_in_progress)
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
		flush_line();
	line_owner = current;
	if (level >= 0 && !line_length)
		line_level = level;
	for (; *s; s++) {
		if (*s == '\n') {
			flush_line();
			if (s[1] && level >= 0)
				line_level = level;
		} else if (line_length < LINE_MAX)
			line[line_length++] = *s;
	}
	logbuf_owner = -1;
	arch_spin_unlock(&logbuf_lock);
	local_irq_restore(flags);
	return n;
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
static int always_kmsg_dump_setup(char *value)
{
	return always_kmsg_dump = true;
}
__setup("printk.always_kmsg_dump", always_kmsg_dump_setup);

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

/* `<level>[    1.234567] text` and a newline, as the syslog calls give it. */
static size_t format_record(u64 seq, bool syslog, char *buf, size_t size)
{
	static char text[LINE_MAX];
	struct printk_info info;
	int n = prb_read(seq, &info, text, sizeof(text));
	size_t used = 0;

	if (n < 0)
		return 0;
	if (syslog)
		used = scnprintf(buf, size, "<%u>", info.facility << 3 | info.level);
	return used + scnprintf(buf + used, size - used, "[%5lu.%06lu] %.*s\n", (unsigned long)(info.ts_nsec / 1000000000),
				(unsigned long)(info.ts_nsec % 1000000000 / 1000), n, text);
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
	static char record[LINE_MAX + 64];
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
EXPORT_SYMBOL(_printk);
EXPORT_SYMBOL(kmsg_dump_register);
EXPORT_SYMBOL(kmsg_dump_unregister);
EXPORT_SYMBOL(kmsg_dump_get_line);
EXPORT_SYMBOL(kmsg_dump_get_buffer);
EXPORT_SYMBOL(kmsg_dump_rewind);
EXPORT_SYMBOL(kmsg_dump_reason_str);
