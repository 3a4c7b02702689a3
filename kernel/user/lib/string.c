/* Strings, numbers, error names, memory. */
#include <libc.h>

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
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
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	char *found = NULL;

	for (; *s; s++)
		if (*s == (char)c)
			found = (char *)s;
	return found;
}

char *strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (; *s; s++)
		if (!strncmp(s, what, n))
			return (char *)s;
	return n ? NULL : (char *)s;
}

char *strcpy(char *to, const char *from)
{
	memcpy(to, from, strlen(from) + 1);
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	if (d <= s || d >= s + n)
		return memcpy(to, from, n);
	while (n--)
		d[n] = s[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return start;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

long strtol(const char *s, char **end, int base)
{
	const char *start = s;
	bool negative;
	u64 value = 0;

	while (*s == ' ' || *s == '\t')
		s++;
	negative = *s == '-';
	s += *s == '-' || *s == '+';
	if ((base == 0 || base == 16) && s[0] == '0' && (s[1] | 32) == 'x' && digit(s[2]) < 16) {
		s += 2;
		base = 16;
	} else if (base == 0)
		base = *s == '0' ? 8 : 10;
	if (digit(*s) >= base)
		s = start;
	else
		for (; digit(*s) < base; s++)
			value = value * base + digit(*s);
	if (end)
		*end = (char *)s;
	return negative ? -(long)value : (long)value;
}

/* Text of an errno; negative values are taken too. */
const char *strerror(long err)
{
	static const char *const names[] = {
		[1] = "Operation not permitted", [2] = "No such file or directory", [3] = "No such process", [4] = "Interrupted system call",
		[5] = "Input/output error", [6] = "No such device or address", [7] = "Argument list too long", [8] = "Exec format error", [9] = "Bad file descriptor",
		[10] = "No child processes", [11] = "Resource temporarily unavailable", [12] = "Cannot allocate memory",
		[13] = "Permission denied", [14] = "Bad address", [16] = "Device or resource busy", [17] = "File exists",
		[19] = "No such device", [20] = "Not a directory", [21] = "Is a directory", [22] = "Invalid argument",
		[24] = "Too many open files", [25] = "Inappropriate ioctl for device", [27] = "File too large",
		[28] = "No space left on device", [29] = "Illegal seek", [32] = "Broken pipe", [36] = "File name too long",
		[38] = "Function not implemented", [39] = "Directory not empty", [99] = "Cannot assign requested address",
	};

	if (err < 0)
		err = -err;
	return err < (long)ARRAY_SIZE(names) && names[err] ? names[err] : "Unknown error";
}

/* Blocks of powers of two, each with its size in front; freed blocks wait in a list of their size. */
static struct block { struct block *next; } *free_blocks[48];

void *malloc(size_t n)
{
	static u64 end, limit;
	int order = 5;
	u64 *block;

	while ((1UL << order) < n + 16)
		if (++order >= 30)
			return NULL;
	if (free_blocks[order]) {
		block = (u64 *)free_blocks[order];
		free_blocks[order] = free_blocks[order]->next;
	} else {
		if (!end)
			end = limit = syscall(SYS_brk, 0, 0, 0);
		if (limit - end < 1UL << order) {
			u64 wanted = end + (1UL << order) + 65536;

			if ((u64)syscall(SYS_brk, wanted, 0, 0) < wanted)
				return NULL;
			limit = wanted;
		}
		block = (u64 *)end;
		end += 1UL << order;
	}
	block[1] = order;
	return block + 2;
}

void free(void *p)
{
	struct block *block = (void *)((u64 *)p - 2);
	u64 order;

	if (!p)
		return;
	order = ((u64 *)block)[1];
	block->next = free_blocks[order];
	free_blocks[order] = block;
}

void exit(int status)
{
	syscall(SYS_exit, status, 0, 0);
	__builtin_unreachable();
}

/* SIG_DFL or SIG_IGN: there are no handlers. */
int signal(int sig, unsigned long handler)
{
	u64 action[4] = { handler };

	return syscall6(SYS_rt_sigaction, sig, (long)action, 0, 8, 0);
}
