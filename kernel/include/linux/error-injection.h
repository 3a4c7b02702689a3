/*
 * Functions that may be made to fail (Linux include/linux/error-injection.h). Each starts with a one-byte NOP, which
 * fail_function turns into a breakpoint.
 */
#ifndef _LINUX_ERROR_INJECTION_H
#define _LINUX_ERROR_INJECTION_H

/* What a failing call returns: NULL, an error number, either of both, or true. */
enum { EI_ETYPE_NULL = 1, EI_ETYPE_ERRNO, EI_ETYPE_ERRNO_NULL, EI_ETYPE_TRUE };
struct error_injection_entry { unsigned long addr; int etype; };
#define __error_injectable __attribute__((patchable_function_entry(1)))
#define ALLOW_ERROR_INJECTION(fname, type)                                                                   \
	static const struct error_injection_entry __attribute__((used, section("_error_injection_whitelist"))) \
		_eil_addr_##fname = { (unsigned long)fname, EI_ETYPE_##type }
extern const struct error_injection_entry __start__error_injection_whitelist[], __stop__error_injection_whitelist[];
#endif
