/*
 * What code that the compiler has instrumented calls. A layout build (CONFIG_KASAN_STACK alone) lets it place and
 * poison red zones around stack objects, allocas and globals, and leaves the checks to the CPU; CONFIG_KASAN_COMPILER
 * also has it check every access, by these calls or inline. Mirrors Linux 6.1 mm/kasan/generic.c and shadow.c; the
 * interface is LLVM's (compiler-rt lib/asan/asan_interface_internal.h).
 */
#ifdef CONFIG_KASAN_STACK
#include "kasan.h"
#include <linux/module.h>

#define RET_IP ((unsigned long)__builtin_return_address(0))
#define ALLOCA_REDZONE 32UL

struct __asan_global { const void *beg; size_t size, size_with_redzone; const void *name, *module_name; unsigned long has_dynamic_init; void *location; unsigned long odr_indicator; };


void __asan_register_globals(struct __asan_global *globals, unsigned long n);
void __asan_register_globals(struct __asan_global *globals, unsigned long n)
{
	for (; kasan_enabled && n--; globals++) {
		size_t aligned = ALIGN(globals->size, KASAN_GRANULE_SIZE);

		kasan_unpoison(globals->beg, globals->size);
		kasan_poison((const char *)globals->beg + aligned, globals->size_with_redzone - aligned, KASAN_GLOBAL_REDZONE);
	}
}

void __asan_unregister_globals(struct __asan_global *globals, unsigned long n);
void __asan_unregister_globals(struct __asan_global *globals, unsigned long n)
{
	for (; kasan_enabled && n--; globals++)
		kasan_unpoison(globals->beg, globals->size_with_redzone);
}

/* Tasks that end never use their stack again. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
}

void __asan_alloca_poison(unsigned long addr, size_t size);
void __asan_alloca_poison(unsigned long addr, size_t size)
{
	size_t rounded = ALIGN(size, KASAN_GRANULE_SIZE), left = ALIGN(size, ALLOCA_REDZONE) - rounded;

	if (!kasan_enabled)
		return;
	kasan_unpoison((void *)addr, size);
	kasan_poison((void *)(addr - ALLOCA_REDZONE), ALLOCA_REDZONE, KASAN_ALLOCA_LEFT);
	kasan_poison((void *)(addr + rounded), left + ALLOCA_REDZONE, KASAN_ALLOCA_RIGHT);
}

void __asan_allocas_unpoison(void *top, void *bottom);
void __asan_allocas_unpoison(void *top, void *bottom)
{
	if (kasan_enabled && top && top <= bottom)
		kasan_unpoison(top, (char *)bottom - (char *)top);
}

#define DEFINE_SET_SHADOW(byte)                                                                                       \
	void __asan_set_shadow_##byte(void *addr, size_t size);                                                       \
	void __asan_set_shadow_##byte(void *addr, size_t size) { __memset(addr, 0x##byte, size); }                    \
	EXPORT_SYMBOL(__asan_set_shadow_##byte)
DEFINE_SET_SHADOW(00);
DEFINE_SET_SHADOW(f1);
DEFINE_SET_SHADOW(f2);
DEFINE_SET_SHADOW(f3);
DEFINE_SET_SHADOW(f5);
DEFINE_SET_SHADOW(f8);
EXPORT_SYMBOL(__asan_register_globals);
EXPORT_SYMBOL(__asan_unregister_globals);
EXPORT_SYMBOL(__asan_handle_no_return);
EXPORT_SYMBOL(__asan_alloca_poison);
EXPORT_SYMBOL(__asan_allocas_unpoison);
#endif

#ifdef CONFIG_KASAN_COMPILER
#define DEFINE_CHECK(name, write, params, addr, size)                                                                 \
	void name params;                                                                                             \
	void name params { kasan_check_range(addr, size, write, RET_IP); }                                            \
	EXPORT_SYMBOL(name)
#define DEFINE_REPORT(name, write, params, addr, size)                                                                \
	void name params;                                                                                             \
	void name params { kasan_report(addr, size, write, RET_IP); }                                                 \
	EXPORT_SYMBOL(name)
#define DEFINE_SIZE(n)                                                                                                \
	DEFINE_CHECK(__asan_load##n##_noabort, false, (unsigned long addr), addr, n);                                 \
	DEFINE_CHECK(__asan_store##n##_noabort, true, (unsigned long addr), addr, n);                                 \
	DEFINE_REPORT(__asan_report_load##n##_noabort, false, (unsigned long addr), addr, n);                         \
	DEFINE_REPORT(__asan_report_store##n##_noabort, true, (unsigned long addr), addr, n)
DEFINE_SIZE(1);
DEFINE_SIZE(2);
DEFINE_SIZE(4);
DEFINE_SIZE(8);
DEFINE_SIZE(16);
DEFINE_CHECK(__asan_loadN_noabort, false, (unsigned long addr, size_t size), addr, size);
DEFINE_CHECK(__asan_storeN_noabort, true, (unsigned long addr, size_t size), addr, size);
DEFINE_REPORT(__asan_report_load_n_noabort, false, (unsigned long addr, size_t size), addr, size);
DEFINE_REPORT(__asan_report_store_n_noabort, true, (unsigned long addr, size_t size), addr, size);

void *__memmove(void *d, const void *s, size_t n);

#undef memset
#undef memcpy
#undef memmove
noinline void *memset(void *s, int c, size_t n)
{
	return kasan_check_range((unsigned long)s, n, true, RET_IP) ? __memset(s, c, n) : NULL;
}

noinline void *memcpy(void *d, const void *s, size_t n)
{
	if (!kasan_check_range((unsigned long)s, n, false, RET_IP) || !kasan_check_range((unsigned long)d, n, true, RET_IP))
		return NULL;
	return __memcpy(d, s, n);
}

noinline void *memmove(void *d, const void *s, size_t n)
{
	if (!kasan_check_range((unsigned long)s, n, false, RET_IP) || !kasan_check_range((unsigned long)d, n, true, RET_IP))
		return NULL;
	return __memmove(d, s, n);
}

void *__asan_memset(void *s, int c, size_t n) __attribute__((alias("memset")));
void *__asan_memcpy(void *d, const void *s, size_t n) __attribute__((alias("memcpy")));
void *__asan_memmove(void *d, const void *s, size_t n) __attribute__((alias("memmove")));
EXPORT_SYMBOL(__asan_memset);
EXPORT_SYMBOL(__asan_memcpy);
EXPORT_SYMBOL(__asan_memmove);
#endif
