/*
 * One ORC entry: how to find the caller's stack and frame pointer at a given instruction (Linux arch/x86/
 * include/asm/orc_types.h). The type carries a name of its own because crash 8.0.2, on seeing Linux's name,
 * demands lookup tables that a kernel this small has no use for.
 */
#ifndef _LINUX_ORC_H
#define _LINUX_ORC_H
#include <linux/types.h>

struct orc_row { s16 sp_offset, bp_offset; unsigned int sp_reg : 4, bp_reg : 4, type : 2, end : 1; } __packed;
#define ORC_REG_UNDEFINED 0
#define ORC_REG_PREV_SP 1
#define ORC_REG_BP 4
#define ORC_REG_SP 5
#define ORC_REG_BP_INDIRECT 8
#define ORC_REG_SP_INDIRECT 9
#define ORC_TYPE_CALL 0
#define ORC_TYPE_REGS 1
#define ORC_TYPE_REGS_PARTIAL 2
#endif
