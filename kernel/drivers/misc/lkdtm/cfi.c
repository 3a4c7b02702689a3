/* Crash points about control flow: calls to places that are not meant for them. Mirrors Linux drivers/misc/lkdtm/cfi.c. */
#include "lkdtm.h"

static int called_count;

static noinline void lkdtm_increment_void(int *counter)
{
	(*counter)++;
}

static noinline int lkdtm_increment_int(int *counter)
{
	(*counter)++;
	return *counter;
}

static noinline void lkdtm_indirect_call(void (*func)(int *))
{
	func(&called_count);
}

/* A call through a pointer of another prototype: only clang's KCFI or CONFIG_CFI_CLANG would stop it. */
static noinline void lkdtm_CFI_FORWARD_PROTO(void)
{
	lk_info("Calling matched prototype ...\n");
	lkdtm_indirect_call(lkdtm_increment_void);
	lk_info("Calling mismatched prototype ...\n");
	lkdtm_indirect_call((void *)lkdtm_increment_int);
	lk_err("FAIL: survived mismatched prototype function call!\n");
	lkdtm_expected_config("CONFIG_CFI_CLANG");
}

static const struct crashtype crashtypes[] = { CRASHTYPE(CFI_FORWARD_PROTO) };
CRASHTYPES(cfi);
