/* Strings. The memory primitives are assembly (arch/x86/lib). */
#define __NO_FORTIFY
#include <linux/module.h>

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (; n--; p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

/* Eight bytes at a time where none of them can be it: x has a byte 0 exactly if this is not 0. */
static bool has_zero(unsigned long x)
{
	return (x - 0x0101010101010101) & ~x & 0x8080808080808080;
}

void *memchr(const void *s, int c, size_t n)
{
	const u8 *p = s;

	for (; n >= 8 && !has_zero(*(const unsigned long *)p ^ (u8)c * 0x0101010101010101); n -= 8)
		p += 8;
	for (; n--; p++)
		if (*p == (u8)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n--; a++, b++)
		if (*a != *b || !*a)
			return n == (size_t)-1 ? 0 : (u8)*a - (u8)*b;
	return 0;
}

/* Fills up with zeros, and does not end a string that is too long. */
char *strncpy(char *d, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		d[i] = *s;
		if (*s)
			s++;
	}
	return d;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}

char *strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (; *s; s++)
		if (!strncmp(s, what, n))
			return (char *)s;
	return NULL;
}

/* Copies with a terminator; -E2BIG (-7) when the string was cut. */
ssize_t strscpy(char *d, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i + 1 < n && s[i]; i++)
		d[i] = s[i];
	if (n)
		d[i] = 0;
	return s[i] ? -7 : (ssize_t)i;
}

unsigned long simple_strtoul(const char *s, char **end, unsigned int base)
{
	unsigned long value = 0;

	if (!base)
		base = s[0] != '0' ? 10 : (s[1] | 32) == 'x' ? 16 : 8;
	if (base == 16 && s[0] == '0' && (s[1] | 32) == 'x')
		s += 2;
	for (;; s++) {
		unsigned int digit = *s >= '0' && *s <= '9' ? *s - '0' : (*s | 32) >= 'a' && (*s | 32) <= 'f' ? (*s | 32) - 'a' + 10 : 99;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	if (end)
		*end = (char *)s;
	return value;
}

long simple_strtol(const char *s, char **end, unsigned int base)
{
	return *s == '-' ? -(long)simple_strtoul(s + 1, end, base) : (long)simple_strtoul(s, end, base);
}
EXPORT_SYMBOL(strcmp);
EXPORT_SYMBOL(strncmp);
EXPORT_SYMBOL(strlen);
EXPORT_SYMBOL(strchr);
EXPORT_SYMBOL(strstr);
EXPORT_SYMBOL(strscpy);
EXPORT_SYMBOL(memchr);
EXPORT_SYMBOL(strrchr);
EXPORT_SYMBOL(memcmp);
EXPORT_SYMBOL(memcpy);
EXPORT_SYMBOL(memset);
EXPORT_SYMBOL(memmove);
EXPORT_SYMBOL(simple_strtoul);
EXPORT_SYMBOL(simple_strtol);
EXPORT_SYMBOL(strnlen);
EXPORT_SYMBOL(strncpy);
