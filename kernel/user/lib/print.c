/* Formatted output, and input by lines. */
#include <libc.h>

struct output { char *buf; size_t size, n; };

static void put(struct output *o, char c)
{
	if (o->n + 1 < o->size)
		o->buf[o->n] = c;
	o->n++;
}

static void put_number(struct output *o, u64 value, int base, bool negative, int width, char pad)
{
	char digits[24];
	int n = 0;

	do
		digits[n++] = "0123456789abcdef"[value % base];
	while (value /= base);
	if (negative && pad == '0') {
		put(o, '-');
		width--;
	} else if (negative)
		digits[n++] = '-';
	for (int i = n; i < width && pad != '-'; i++)
		put(o, pad);
	for (int i = n; i--;)
		put(o, digits[i]);
	for (int i = n; i < width && pad == '-'; i++)
		put(o, ' ');
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct output o = { buf, size, 0 };

	for (; *fmt; fmt++) {
		char pad = ' ';
		int width = 0, longs = 0;
		long value;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		for (fmt++; *fmt == '-' || *fmt == '0'; fmt++)
			pad = *fmt;
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		for (; *fmt == 'l'; fmt++)
			longs++;
		switch (*fmt) {
		case 'c':
			put(&o, va_arg(args, int));
			break;
		case 's': {
			const char *s = va_arg(args, const char *);
			int n = strlen(s);

			for (int i = n; i < width && pad != '-'; i++)
				put(&o, ' ');
			while (*s)
				put(&o, *s++);
			for (int i = n; i < width && pad == '-'; i++)
				put(&o, ' ');
			break;
		}
		case 'd':
			value = longs ? va_arg(args, long) : va_arg(args, int);
			put_number(&o, value < 0 ? -(u64)value : (u64)value, 10, value < 0, width, pad);
			break;
		case 'u':
		case 'x':
		case 'o':
			put_number(&o, longs ? va_arg(args, u64) : va_arg(args, u32), *fmt == 'u' ? 10 : *fmt == 'x' ? 16 : 8, false, width, pad);
			break;
		case '%':
			put(&o, '%');
			break;
		}
	}
	if (size)
		buf[o.n < size ? o.n : size - 1] = 0;
	return o.n;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

long write_all(int fd, const void *buf, size_t n)
{
	while (n) {
		ssize_t part = write(fd, buf, n);

		if (part < 0)
			return part;
		buf = (const char *)buf + part;
		n -= part;
	}
	return 0;
}

void dprintf(int fd, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	write_all(fd, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
}

long read_line(struct reader *r, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		char c;

		if (r->at == r->end) {
			ssize_t got = read(r->fd, r->buf, sizeof(r->buf));

			if (got <= 0) {
				line[n] = 0;
				return n ? (long)n : -1;
			}
			r->at = 0;
			r->end = got;
		}
		c = r->buf[r->at++];
		if (c == '\n') {
			line[n] = 0;
			return n;
		}
		line[n++] = c;
		if (n + 1 == size) {
			line[n] = 0;
			return n;
		}
	}
}
