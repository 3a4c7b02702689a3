/*
 * Records as text: with level and time for consoles, syslog(2) and dumps; with all they have for /dev/kmsg and
 * extended consoles. Mirrors record_print_text() and msg_print_ext_*() of Linux kernel/printk/printk.c.
 */
#include <linux/kernel.h>
#include <linux/printk_ringbuffer.h>
#include "internal.h"

bool printk_time = true;

/* The line and a newline, or as much of them as fits with a terminator; gives how much that was. */
static size_t copy_line(char *to, size_t room, const char *text, size_t n)
{
	size_t done = room ? min(n + 1, room - 1) : 0;

	memcpy(to, text, min(done, n));
	if (done > n)
		to[n] = '\n';
	if (room)
		to[done] = 0;
	return done;
}

/* `<level>[    1.234567] text` and a newline, for each line of the record. */
size_t record_print_text(const struct printk_info *info, const char *text, size_t n, bool syslog, char *buf, size_t size)
{
	size_t used = 0;

	for (;;) {
		const char *end = memchr(text, '\n', n);
		size_t part = end ? (size_t)(end - text) : n;

		if (syslog)
			used += scnprintf(buf + used, size - used, "<%u>", info->facility << 3 | info->level);
		if (printk_time)
			used += scnprintf(buf + used, size - used, "[%5lu.%06lu] ", (unsigned long)(info->ts_nsec / 1000000000),
					  (unsigned long)(info->ts_nsec % 1000000000 / 1000));
		used += copy_line(buf + used, size - used, text, part);
		if (part >= n)
			return used;
		text += part + 1;
		n -= part + 1;
	}
}

/* `level,sequence,microseconds,flag;text`: flag c is a line's continuation; what is not printable is \xHH. */
size_t record_print_ext(const struct printk_info *info, const char *text, size_t n, char *buf, size_t size)
{
	size_t used = scnprintf(buf, size, "%u,%lu,%lu,%c;", info->facility << 3 | info->level, (unsigned long)info->seq,
				(unsigned long)(info->ts_nsec / 1000), info->flags & LOG_CONT ? 'c' : '-');

	for (size_t i = 0; i < n; i++) {
		unsigned char c = text[i];

		if (c < ' ' || c >= 127 || c == '\\')
			used += scnprintf(buf + used, size - used, "\\x%02x", c);
		else
			used += scnprintf(buf + used, size - used, "%c", c);
	}
	return used + scnprintf(buf + used, size - used, "\n");
}
