/* A function in read-only data, which must not run. Mirrors Linux drivers/misc/lkdtm/rodata.c. */
#include "lkdtm.h"

/* A table of bytes, so that no tool takes it for text: ret. */
const u8 lkdtm_rodata_code[64] = { 0xc3 };
