/*
 * String functions that know how large their objects are, as far as the compiler knows: one that would write or read
 * past the end ends in fortify_panic(). The size of a member is only warned about, as in Linux 6.1, for memcpy.
 * Mirrors Linux include/linux/fortify-string.h (CONFIG_FORTIFY_SOURCE).
 */
#ifndef _LINUX_FORTIFY_STRING_H
#define _LINUX_FORTIFY_STRING_H
#include <linux/types.h>

void fortify_panic(const char *name) __noreturn;
#define __FORTIFY static inline __attribute__((always_inline, unused))
#define SIZE_UNKNOWN ((size_t)-1)
#define __bos0(p) __builtin_object_size(p, 0)
#define __bos1(p) __builtin_object_size(p, 1)

__FORTIFY void *__fortify_memset(void *p, int c, size_t n, size_t p_size)
{
	if (p_size < n)
		fortify_panic("memset");
	return memset(p, c, n);
}

#define __fortify_check_copy(p_size, q_size, n, name) \
	do {                                          \
		if (p_size < n || q_size < n)         \
			fortify_panic(name);          \
	} while (0)

__FORTIFY void *__fortify_memcpy(void *p, const void *q, size_t n, size_t p_size, size_t q_size)
{
	__fortify_check_copy(p_size, q_size, n, "memcpy");
	return memcpy(p, q, n);
}

__FORTIFY void *__fortify_memmove(void *p, const void *q, size_t n, size_t p_size, size_t q_size)
{
	__fortify_check_copy(p_size, q_size, n, "memmove");
	return memmove(p, q, n);
}

__FORTIFY int __fortify_memcmp(const void *p, const void *q, size_t n, size_t p_size, size_t q_size)
{
	__fortify_check_copy(p_size, q_size, n, "memcmp");
	return memcmp(p, q, n);
}

__FORTIFY size_t __fortify_strnlen(const char *p, size_t n, size_t p_size)
{
	size_t found = strnlen(p, n < p_size ? n : p_size);

	if (p_size <= found && n != found)
		fortify_panic("strnlen");
	return found;
}

__FORTIFY size_t __fortify_strlen(const char *p, size_t p_size)
{
	size_t found;

	if (p_size == SIZE_UNKNOWN)
		return strlen(p);
	found = __fortify_strnlen(p, p_size, p_size);
	if (p_size <= found)
		fortify_panic("strlen");
	return found;
}

__FORTIFY char *__fortify_strncpy(char *p, const char *q, size_t n, size_t p_size)
{
	if (p_size < n)
		fortify_panic("strncpy");
	return strncpy(p, q, n);
}

/* The source is measured first, so that it is not read past its end either. */
__FORTIFY ssize_t __fortify_strscpy(char *p, const char *q, size_t n, size_t p_size, size_t q_size)
{
	size_t length;

	if (p_size == SIZE_UNKNOWN && q_size == SIZE_UNKNOWN)
		return strscpy(p, q, n);
	if (!n)
		return -7;
	length = __fortify_strnlen(q, n, q_size);
	length = length == n ? n : length + 1;
	if (length > p_size)
		fortify_panic("strscpy");
	return strscpy(p, q, length);
}

#define __FORTIFY_LINE2(line) #line
#define __FORTIFY_LINE(line) __FORTIFY_LINE2(line)
/* A write that stays in the struct but leaves the member it began in. */
#define __fortify_span(p, n, name)                                                                                    \
	({                                                                                                            \
		size_t __n = (n), __field = __bos1(p);                                                                \
		WARN_ONCE(__field != SIZE_UNKNOWN && __bos0(p) != __field && __field < __n && __bos0(p) >= __n,       \
			  name ": detected field-spanning write (size %lu) of single %s (size %lu)\n", __n,           \
			  "field \"" #p "\" at " __FILE__ ":" __FORTIFY_LINE(__LINE__), __field);                     \
		__n;                                                                                                  \
	})
#define memset(p, c, n) __fortify_memset(p, c, n, __bos0(p))
#define memcpy(p, q, n) __fortify_memcpy(p, q, __builtin_constant_p(n) ? (n) : __fortify_span(p, n, "memcpy"), __bos0(p), __bos0(q))
#define memmove(p, q, n) __fortify_memmove(p, q, n, __bos0(p), __bos0(q))
#define memcmp(p, q, n) __fortify_memcmp(p, q, n, __bos0(p), __bos0(q))
#define strlen(p) __fortify_strlen(p, __bos1(p))
#define strnlen(p, n) __fortify_strnlen(p, n, __bos1(p))
#define strncpy(p, q, n) __fortify_strncpy(p, q, n, __bos1(p))
#define strscpy(p, q, n) __fortify_strscpy(p, q, n, __bos1(p), __bos1(q))
#endif
