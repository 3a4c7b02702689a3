/* STACKLEAK needs a compiler plugin that this kernel is not built with. Mirrors Linux drivers/misc/lkdtm/stackleak.c. */
#include "lkdtm.h"

static noinline void lkdtm_STACKLEAK_ERASING(void)
{
	lk_err("XFAIL: stackleak is not enabled (CONFIG_GCC_PLUGIN_STACKLEAK=n)\n");
}

static const struct crashtype crashtypes[] = { CRASHTYPE(STACKLEAK_ERASING) };
CRASHTYPES(stackleak);
