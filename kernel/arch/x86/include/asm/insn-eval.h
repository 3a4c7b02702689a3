/* What an instruction is about. */
#ifndef _ASM_INSN_EVAL_H
#define _ASM_INSN_EVAL_H
#include <linux/sched.h>

#define MAX_INSN_SIZE 15
/* Guess of the address of its memory operand; insn is a copy of MAX_INSN_SIZE bytes. Also the size of the operand. */
unsigned long insn_get_addr_ref(const u8 *insn, struct pt_regs *regs, int *operand_bytes);
#endif
