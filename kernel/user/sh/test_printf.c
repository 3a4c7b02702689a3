/* `test` and `printf`. */
#include "sh.h"

/* One expression of up to three words. */
static int primary(int argc, char **argv)
{
	struct stat st;
	long a, b;

	if (argc == 0)
		return 1;
	if (!strcmp(argv[0], "!"))
		return !primary(argc - 1, argv + 1);
	if (argc == 1)
		return !*argv[0];
	if (argc == 2) {
		switch (argv[0][0] == '-' ? argv[0][1] : 0) {
		case 'n':
			return !*argv[1];
		case 'z':
			return *argv[1] != 0;
		case 'e':
			return stat(argv[1], &st) < 0;
		case 'f':
			return stat(argv[1], &st) < 0 || (st.st_mode & S_IFMT) != S_IFREG;
		case 'd':
			return stat(argv[1], &st) < 0 || (st.st_mode & S_IFMT) != S_IFDIR;
		case 'c':
			return stat(argv[1], &st) < 0 || (st.st_mode & S_IFMT) != S_IFCHR;
		case 's':
			return stat(argv[1], &st) < 0 || !st.st_size;
		case 'r':
		case 'w':
		case 'x':
			return syscall(SYS_access, argv[1], 0, 0) < 0;
		}
		return 2;
	}
	if (!strcmp(argv[1], "=") || !strcmp(argv[1], "=="))
		return strcmp(argv[0], argv[2]) != 0;
	if (!strcmp(argv[1], "!="))
		return strcmp(argv[0], argv[2]) == 0;
	a = strtol(argv[0], NULL, 10);
	b = strtol(argv[2], NULL, 10);
	if (!strcmp(argv[1], "-eq"))
		return a != b;
	if (!strcmp(argv[1], "-ne"))
		return a == b;
	if (!strcmp(argv[1], "-lt"))
		return a >= b;
	if (!strcmp(argv[1], "-le"))
		return a > b;
	if (!strcmp(argv[1], "-gt"))
		return a <= b;
	if (!strcmp(argv[1], "-ge"))
		return a < b;
	return 2;
}

/* Expressions joined by -a and -o, from left to right. */
int run_test(int argc, char **argv)
{
	int start = 1, result = -1;
	char join = 'a';

	if (!strcmp(argv[0], "[")) {
		if (strcmp(argv[argc - 1], "]")) {
			dprintf(2, "[: missing ]\n");
			return 2;
		}
		argc--;
	}
	for (int i = 1; i <= argc; i++) {
		int value;

		if (i < argc && ((strcmp(argv[i], "-a") && strcmp(argv[i], "-o")) || i == start))
			continue;
		value = primary(i - start, argv + start);
		if (value > 1) {
			dprintf(2, "%s: bad expression\n", argv[0]);
			return 2;
		}
		result = result < 0 ? value : join == 'a' ? result | value : result & value;
		join = i < argc ? argv[i][1] : 0;
		start = i + 1;
	}
	return result;
}

/* An escape after its backslash; returns where the text goes on. */
static const char *escape(const char *s, char *c)
{
	static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
	const char *found = *s ? strchr(from, *s) : NULL;

	if (*s >= '0' && *s <= '7') {
		int value = 0;

		for (int i = 0; i < 4 && *s >= '0' && *s <= '7'; i++)
			value = value * 8 + *s++ - '0';
		*c = value;
		return s;
	}
	if (*s == 'x') {
		char *end, digits[3] = { s[1], s[1] ? s[2] : 0, 0 };

		*c = strtol(digits, &end, 16);
		return s + 1 + (end - digits);
	}
	*c = found ? to[found - from] : '\\';
	return found ? s + 1 : s;
}

static void put_escaped(const char *s)
{
	while (*s) {
		char c = *s++;

		if (c == '\\')
			s = escape(s, &c);
		write_all(1, &c, 1);
	}
}

int run_printf(int argc, char **argv)
{
	int next = 2;

	if (argc < 2) {
		dprintf(2, "usage: printf format [argument...]\n");
		return 2;
	}
	do {
		int used = next;

		for (const char *s = argv[1]; *s;) {
			char spec[24], c = *s++;
			size_t n = 0;

			if (c == '\\') {
				s = escape(s, &c);
				write_all(1, &c, 1);
				continue;
			}
			if (c != '%' || *s == '%') {
				s += c == '%';
				write_all(1, &c, 1);
				continue;
			}
			spec[n++] = '%';
			while (((*s >= '0' && *s <= '9') || *s == '-') && n < 12)
				spec[n++] = *s++;
			c = *s;
			s += c != 0;
			if (c == 's' || c == 'b' || c == 'c') {
				const char *value = next < argc ? argv[next++] : "";

				strcpy(spec + n, c == 'c' ? "c" : "s");
				if (c == 'b')
					put_escaped(value);
				else if (c == 'c')
					dprintf(1, spec, *value);
				else
					dprintf(1, spec, value);
			} else if (c == 'd' || c == 'i' || c == 'u' || c == 'x' || c == 'o') {
				spec[n] = 'l';
				spec[n + 1] = c == 'i' ? 'd' : c;
				spec[n + 2] = 0;
				dprintf(1, spec, next < argc ? strtol(argv[next++], NULL, 0) : 0L);
			} else {
				dprintf(2, "printf: %%%c: invalid directive\n", c);
				return 1;
			}
		}
		if (used == next)
			break;
	} while (next < argc);
	return 0;
}
