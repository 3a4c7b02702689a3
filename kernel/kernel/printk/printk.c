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
#include "internal.h"

#define LINE_MAX 1024
#define DEFAULT_LEVEL 4

int console_loglevel = 7;
int oops_in_progress;
static struct console *console_drivers;
static char line[LINE_MAX];
static size_t line_length;
static int line_level = -1;

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

int vprintk(const char *fmt, va_list args)
{
	static char text[LINE_MAX];
	unsigned long flags = local_irq_save();
	const char *s = text;
	int level = -1, n;
	bool cont = false;

	n = vsnprintf(text, sizeof(text), fmt, args);
	while (s[0] == 1 && s[1]) {
		if (s[1] == 'c')
			cont = true;
		else
			level = s[1] - '0';
		s += 2;
	}
	if (!cont && line_length)
		flush_line();
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
	local_irq_restore(flags);
	return n;
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
