/* The crash points of LKDTM, in groups. Mirrors Linux drivers/misc/lkdtm/lkdtm.h. */
#ifndef LKDTM_H
#define LKDTM_H
#include <linux/kernel.h>
#include <linux/mm.h>

#define pr_fmt "lkdtm: "
#define lk_info(...) printk(KERN_INFO pr_fmt __VA_ARGS__)
#define lk_warn(...) printk(KERN_WARNING pr_fmt __VA_ARGS__)
#define lk_err(...) printk(KERN_ERR pr_fmt __VA_ARGS__)

struct crashtype { const char *name; void (*func)(void); };
struct crashtype_category { const struct crashtype *crashtypes; size_t len; };
#define CRASHTYPE(name) { #name, lkdtm_##name }
#define CRASHTYPES(group) const struct crashtype_category group##_crashtypes = { crashtypes, ARRAY_SIZE(crashtypes) }

/*
 * A check that did not catch its fault says why that was to be expected: the option is off in this build. Options
 * of ours that are on are 1 here.
 */
#define CONFIG_VMAP_STACK 1
#define lkdtm_expected_config(option)                                                                              \
	lk_warn("This is probably expected, since this kernel (" UTS_RELEASE " x86_64) was built *without* " option "=y\n")
#define lkdtm_expected_config_param(option, parameter)                                                             \
	do {                                                                                                       \
		if (lkdtm_check_bool_cmdline(parameter))                                                           \
			lk_err("Unexpected! This kernel (" UTS_RELEASE " x86_64) was booted with '" parameter      \
			       "' specified\n");                                                                   \
		else                                                                                               \
			lk_warn("This is probably expected, since this kernel (" UTS_RELEASE                       \
				" x86_64) was built *without* " option "=y (and booted without '" parameter        \
				"' specified)\n");                                                                 \
	} while (0)
bool lkdtm_check_bool_cmdline(const char *parameter);

extern const struct crashtype_category bugs_crashtypes, heap_crashtypes, perms_crashtypes, refcount_crashtypes,
	usercopy_crashtypes, stackleak_crashtypes, cfi_crashtypes, fortify_crashtypes, powerpc_crashtypes;
void lkdtm_heap_init(void);
void lkdtm_usercopy_init(void);
void lkdtm_bugs_init(int *recur);
/* A function that does nothing, and its end: what perms.c copies and overwrites. */
void lkdtm_rodata_do_nothing(void);

static inline void *lkdtm_hide(void *p)
{
	__asm__ volatile("" : "+r"(p));
	return p;
}
#endif
