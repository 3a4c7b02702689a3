/* The end of a string function that would have left its object. Mirrors Linux lib/string_helpers.c. */
#include <linux/module.h>

noinline void __noreturn fortify_panic(const char *name)
{
	pr_emerg("detected buffer overflow in %s\n", name);
	BUG();
}
EXPORT_SYMBOL(fortify_panic);
