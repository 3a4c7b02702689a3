/* printf for the kernel: integers, strings, %p with its extensions %pS %pB %px. Mirrors Linux lib/vsprintf.c. */
#include <linux/module.h>

struct out { char *at, *end; };

static void put(struct out *o, char c)
{
	if (o->at < o->end)
		*o->at = c;
	o->at++;
}

static void put_string(struct out *o, const char *s, int width, int precision, bool left)
{
	int n;

	if (!s)
		s = "(null)";
	n = strnlen(s, precision < 0 ? (size_t)-1 >> 1 : (size_t)precision);
	for (int i = n; !left && i < width; i++)
		put(o, ' ');
	for (int i = 0; i < n; i++)
		put(o, s[i]);
	for (int i = n; left && i < width; i++)
		put(o, ' ');
}

static void put_number(struct out *o, unsigned long v, int base, bool negative, int width, int precision, bool left,
		       char pad, bool upper, bool plus)
{
	char digits[24];
	int n = 0, sign = negative || plus;

	do
		digits[n++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
	while (v /= base);
	if (precision > n)
		while (n < precision)
			digits[n++] = '0';
	if (!left && pad == ' ')
		for (int i = n + sign; i < width; i++)
			put(o, ' ');
	if (sign)
		put(o, negative ? '-' : '+');
	if (!left && pad == '0')
		for (int i = n + sign; i < width; i++)
			put(o, '0');
	for (int i = n; i--;)
		put(o, digits[i]);
	for (int i = n + sign; left && i < width; i++)
		put(o, ' ');
}

/* Plain %p shows no address: the key of Linux's hash would need randomness, which this machine does not have at boot. */
bool no_hash_pointers;

void no_hash_pointers_enable(void);
void no_hash_pointers_enable(void)
{
	no_hash_pointers = true;
}

static int no_hash_pointers_setup(char *value)
{
	no_hash_pointers = true;
	return 1;
}
__setup("no_hash_pointers", no_hash_pointers_setup);

static const char *put_pointer(struct out *o, const char *fmt, void *p, int width, bool left)
{
	char symbol[KSYM_SYMBOL_LEN];

	switch (fmt[1]) {
	case 'S':
		sprint_symbol(symbol, (unsigned long)p);
		put_string(o, symbol, width, -1, left);
		return fmt + 1;
	case 's': { /* the name alone */
		unsigned long size, offset;
		char *module;
		const char *name = kallsyms_lookup((unsigned long)p, &size, &offset, &module);

		if (name && module)
			snprintf(symbol, sizeof(symbol), "%s [%s]", name, module);
		else if (!name)
			snprintf(symbol, sizeof(symbol), "0x%lx", (unsigned long)p);
		put_string(o, name && !module ? name : symbol, width, -1, left);
		return fmt + 1;
	}
	case 'B':
		sprint_backtrace(symbol, (unsigned long)p);
		put_string(o, symbol, width, -1, left);
		return fmt + 1;
	case 'x':
		put_number(o, (unsigned long)p, 16, false, 16, -1, false, '0', false, false);
		return fmt + 1;
	}
	if (no_hash_pointers || !p)
		put_number(o, (unsigned long)p, 16, false, 16, -1, false, '0', false, false);
	else
		put_string(o, "(____ptrval____)", width, -1, left);
	return fmt;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = { buf, buf + size };

	for (; *fmt; fmt++) {
		bool left = false, plus = false, alt = false;
		char pad = ' ';
		int width = 0, precision = -1, longs = 0;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		for (;;) {
			fmt++;
			if (*fmt == '-')
				left = true;
			else if (*fmt == '0')
				pad = '0';
			else if (*fmt == '+')
				plus = true;
			else if (*fmt == '#')
				alt = true;
			else
				break;
		}
		if (*fmt == '*') {
			width = va_arg(args, int);
			fmt++;
		} else
			width = simple_strtoul(fmt, (char **)&fmt, 10);
		if (*fmt == '.') {
			fmt++;
			if (*fmt == '*') {
				precision = va_arg(args, int);
				fmt++;
			} else
				precision = simple_strtoul(fmt, (char **)&fmt, 10);
		}
		while (*fmt == 'l' || *fmt == 'z') {
			longs++;
			fmt++;
		}
		while (*fmt == 'h')
			fmt++;
		switch (*fmt) {
		case 'c':
			for (; width > 1; width--)
				put(&o, ' ');
			put(&o, va_arg(args, int));
			break;
		case 's':
			put_string(&o, va_arg(args, char *), width, precision, left);
			break;
		case 'p':
			fmt = put_pointer(&o, fmt, va_arg(args, void *), width, left);
			break;
		case 'd':
		case 'i': {
			long v = longs ? va_arg(args, long) : va_arg(args, int);

			put_number(&o, v < 0 ? -(unsigned long)v : (unsigned long)v, 10, v < 0, width, precision, left, pad, false, plus);
			break;
		}
		case 'u':
		case 'x':
		case 'X':
		case 'o': {
			unsigned long v = longs ? va_arg(args, unsigned long) : va_arg(args, unsigned int);

			if (alt && *fmt == 'x') {
				put(&o, '0');
				put(&o, 'x');
				width -= 2;
			}
			put_number(&o, v, *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16, false, width, precision, left, pad, *fmt == 'X', false);
			break;
		}
		case '%':
			put(&o, '%');
			break;
		default:
			put(&o, '%');
			put(&o, *fmt);
		}
	}
	if (size)
		*(o.at < o.end ? o.at : o.end - 1) = 0;
	return o.at - buf;
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

/* As snprintf, but the characters really written. */
int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n < (int)size ? n : size ? (int)size - 1 : 0;
}
EXPORT_SYMBOL(snprintf);
EXPORT_SYMBOL(scnprintf);
EXPORT_SYMBOL(vsnprintf);
