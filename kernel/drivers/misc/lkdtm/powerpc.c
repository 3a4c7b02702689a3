/* Mirrors Linux drivers/misc/lkdtm/powerpc.c as far as another architecture can. */
#include "lkdtm.h"

static noinline void lkdtm_PPC_SLB_MULTIHIT(void)
{
	lk_err("XFAIL: this test is powerpc-only\n");
}

static const struct crashtype crashtypes[] = { CRASHTYPE(PPC_SLB_MULTIHIT) };
CRASHTYPES(powerpc);
