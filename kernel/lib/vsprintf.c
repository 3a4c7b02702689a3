/*
 * printf for the kernel: integers, strings, %p with its extensions %pS %pB %ps %px %ph. Runs of text are copied whole.
 * Mirrors Linux lib/vsprintf.c.
 */
#include <linux/module.h>

struct out { char *at, *end; };

/* What stands between % and the letter. */
struct spec { int width, precision; bool left, plus, alt, zero; };

/* The longest number with its padding that is put together at once. */
#define NUMBER_MAX 64
/* Longest dump of %ph. */
#define HEX_MAX 64

/* What does not fit is counted all the same. */
static inline void put(struct out *o, const char *s, size_t n)
{
	if (o->at < o->end)
		memcpy(o->at, s, min(n, (size_t)(o->end - o->at)));
	o->at += n;
}

/* Text up to the next %: mostly a few letters, for which no call is worth it. */
static inline const char *put_text(struct out *o, const char *s)
{
	char *at = o->at;

	for (; *s && *s != '%'; s++, at++)
		if (at < o->end)
			*at = *s;
	o->at = at;
	return s;
}

static void put_blanks(struct out *o, int n)
{
	for (; n > 0; n--)
		put(o, " ", 1);
}

static void put_string(struct out *o, const char *s, const struct spec *spec)
{
	int n;

	if (!s)
		s = "(null)";
	n = strnlen(s, spec->precision < 0 ? (size_t)-1 >> 1 : (size_t)spec->precision);
	if (!spec->left)
		put_blanks(o, spec->width - n);
	put(o, s, n);
	if (spec->left)
		put_blanks(o, spec->width - n);
}

/* Eight hexadecimal digits, the first in the lowest byte: the nibbles are spread, and those above 9 become letters. */
static unsigned long hex_digits(u32 v, bool upper)
{
	unsigned long x = v;

	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	x += 0x3030303030303030 + ((x + 0x0606060606060606) >> 4 & 0x0101010101010101) * ((upper ? 'A' : 'a') - '0' - 10);
	return __builtin_bswap64(x);
}

/* From its last digit to its first blank. */
static void put_number(struct out *o, unsigned long v, unsigned int base, bool negative, bool upper, const struct spec *spec)
{
	char number[NUMBER_MAX + 4], *end = number + sizeof(number), *p = end;
	int width = min(spec->width, NUMBER_MAX), precision = min(spec->precision, NUMBER_MAX);
	int before = (negative || spec->plus) + (spec->alt && base == 16 ? 2 : 0);

	if (base == 10) {
		for (; v > 9; v /= 10)
			*--p = '0' + v % 10;
		*--p = '0' + v;
	} else if (base == 16) {
		unsigned long low = hex_digits(v, upper), high = hex_digits(v >> 32, upper);

		__builtin_memcpy(end - 8, &low, sizeof(low));
		__builtin_memcpy(end - 16, &high, sizeof(high));
		p = end - (v ? (67 - __builtin_clzl(v)) / 4 : 1);
	} else {
		do
			*--p = '0' + (v & 7);
		while (v >>= 3);
	}
	while (end - p < precision)
		*--p = '0';
	if (spec->zero && !spec->left)
		while (end - p < width - before)
			*--p = '0';
	if (before > 1) {
		*--p = upper ? 'X' : 'x';
		*--p = '0';
	}
	if (before & 1)
		*--p = negative ? '-' : '+';
	while (!spec->left && end - p < width)
		*--p = ' ';
	put(o, p, end - p);
	if (spec->left)
		put_blanks(o, width - (end - p));
}

/* %Nph: N bytes (1 if it does not say), as Linux's dumps of instructions have them. */
static void put_hex(struct out *o, const u8 *bytes, int n)
{
	char text[HEX_MAX * 3], *p = text;

	n = n < 1 ? 1 : min(n, HEX_MAX);
	for (int i = 0; i < n; i++) {
		*p++ = "0123456789abcdef"[bytes[i] >> 4];
		*p++ = "0123456789abcdef"[bytes[i] & 15];
		*p++ = ' ';
	}
	put(o, text, n * 3 - 1);
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

static const struct spec plain_pointer = { .width = 16, .precision = -1, .zero = true };

/* Gives the last letter that it took. */
static const char *put_pointer(struct out *o, const char *fmt, void *p, const struct spec *spec)
{
	char symbol[KSYM_SYMBOL_LEN];

	switch (fmt[1]) {
	case 'S':
		sprint_symbol(symbol, (unsigned long)p);
		put_string(o, symbol, spec);
		return fmt + 1;
	case 's': { /* the name alone */
		unsigned long size, offset;
		char *module;
		const char *name = kallsyms_lookup((unsigned long)p, &size, &offset, &module);

		if (name && module)
			snprintf(symbol, sizeof(symbol), "%s [%s]", name, module);
		else if (!name)
			snprintf(symbol, sizeof(symbol), "0x%lx", (unsigned long)p);
		put_string(o, name && !module ? name : symbol, spec);
		return fmt + 1;
	}
	case 'B':
		sprint_backtrace(symbol, (unsigned long)p);
		put_string(o, symbol, spec);
		return fmt + 1;
	case 'h':
		put_hex(o, p, spec->width);
		return fmt + 1;
	case 'x':
		put_number(o, (unsigned long)p, 16, false, false, &plain_pointer);
		return fmt + 1;
	}
	if (no_hash_pointers || !p)
		put_number(o, (unsigned long)p, 16, false, false, &plain_pointer);
	else
		put_string(o, "(____ptrval____)", spec);
	return fmt;
}

static int number_at(const char **at)
{
	int n = 0;

	for (; **at >= '0' && **at <= '9'; ++*at)
		n = n * 10 + **at - '0';
	return n;
}

/* Flags, width and precision; gives where they end. */
static const char *parse_spec(const char *fmt, struct spec *spec, va_list *args)
{
	*spec = (struct spec){ .precision = -1 };
	for (;; fmt++) {
		if (*fmt == '-')
			spec->left = true;
		else if (*fmt == '0')
			spec->zero = true;
		else if (*fmt == '+')
			spec->plus = true;
		else if (*fmt == '#')
			spec->alt = true;
		else
			break;
	}
	if (*fmt == '*') {
		spec->width = va_arg(*args, int);
		fmt++;
	} else
		spec->width = number_at(&fmt);
	if (*fmt != '.')
		return fmt;
	fmt++;
	if (*fmt == '*') {
		spec->precision = va_arg(*args, int);
		fmt++;
	} else
		spec->precision = number_at(&fmt);
	return fmt;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list arguments)
{
	struct out o = { buf, buf + size };
	va_list args;

	va_copy(args, arguments);
	for (;;) {
		struct spec spec;
		int longs = 0;

		fmt = put_text(&o, fmt);
		if (!*fmt)
			break;
		fmt = parse_spec(fmt + 1, &spec, &args);
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			longs++;
		while (*fmt == 'h')
			fmt++;
		switch (*fmt) {
		case 'c': {
			char c = va_arg(args, int);

			put_blanks(&o, spec.width - 1);
			put(&o, &c, 1);
			break;
		}
		case 's':
			put_string(&o, va_arg(args, char *), &spec);
			break;
		case 'p':
			fmt = put_pointer(&o, fmt, va_arg(args, void *), &spec);
			break;
		case 'd':
		case 'i': {
			long v = longs ? va_arg(args, long) : va_arg(args, int);

			put_number(&o, v < 0 ? -(unsigned long)v : (unsigned long)v, 10, v < 0, false, &spec);
			break;
		}
		case 'u':
		case 'x':
		case 'X':
		case 'o': {
			unsigned long v = longs ? va_arg(args, unsigned long) : va_arg(args, unsigned int);

			spec.plus = false;
			put_number(&o, v, *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16, false, *fmt == 'X', &spec);
			break;
		}
		case '%':
			put(&o, "%", 1);
			break;
		case 0:
			put(&o, "%", 1);
			continue;
		default:
			put(&o, "%", 1);
			put(&o, fmt, 1);
		}
		fmt++;
	}
	va_end(args);
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
