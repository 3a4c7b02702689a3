/*
 * The address that an instruction was about, guessed from its bytes and the registers: what a #GP, which has no CR2,
 * is reported with. Where there is no ModRM byte (string instructions, RET, moffs) Linux reads it as 0 and so guesses
 * RAX; with a register operand it guesses the register's value. Mirrors Linux arch/x86/lib/insn-eval.c.
 */
#include <asm/insn-eval.h>
#include <asm/processor.h>
#include <linux/kernel.h>

/* Opcode maps as in SDM 2A 2.1.2: one byte, 0F, 0F 38, 0F 3A. */
enum { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };

/* Bit n of word n / 32: the opcode is followed by ModRM (SDM 2D, appendix A). */
static const u32 has_modrm[2][8] = {
	{ 0x0f0f0f0f, 0x0f0f0f0f, 0x00000000, 0x00000a0c, 0x0000ffff, 0x00000000, 0xff0f00f3, 0xc0c00000 },
	{ 0xffffa00f, 0xff00ffff, 0xffffffff, 0xff7fffff, 0xffff0000, 0xfffff8f8, 0xffff00ff, 0xffffffff },
};

static bool bit(const u32 *words, u8 n)
{
	return words[n / 32] >> (n % 32) & 1;
}

/* How many bytes of immediate follow. Only a RIP-relative operand wants to know. */
static int immediate_bytes(int map, u8 opcode, u8 modrm, int operand)
{
	int word = min(operand, 4);

	if (map == MAP_0F3A)
		return 1;
	if (map == MAP_0F) /* PSHUFx and shifts, SHLD, SHRD, BTx, CMPPS, PINSRW, PEXTRW, SHUFPS */
		return (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xa4 || opcode == 0xac || opcode == 0xba || opcode == 0xc2 ||
		       (opcode >= 0xc4 && opcode <= 0xc6);
	if (map != MAP_ONE)
		return 0;
	if (opcode == 0x80 || opcode == 0x83 || opcode == 0x6b || opcode == 0xc0 || opcode == 0xc1 || opcode == 0xc6)
		return 1;
	if (opcode == 0x81 || opcode == 0x69 || opcode == 0xc7)
		return word;
	if ((opcode & 0xfe) == 0xf6 && (modrm & 0x38) < 0x10) /* TEST */
		return opcode == 0xf6 ? 1 : word;
	return 0;
}

unsigned long insn_get_addr_ref(const u8 *insn, struct pt_regs *regs, int *operand_bytes)
{
	/* Index in struct pt_regs of the registers as instructions number them. */
	static const u8 order[16] = { 10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0 };
	const unsigned long *r = (const unsigned long *)regs;
	unsigned long address = 0, base = 0;
	const u8 *p = insn;
	u8 rex = 0, opcode, modrm = 0;
	bool narrow = false, follows;
	int map = MAP_ONE;

#define REG(n) r[order[n]]
	*operand_bytes = 4;
	for (;; p++) {
		if (*p == 0x64)
			base = rdmsrl(MSR_FS_BASE);
		else if (*p == 0x65)
			base = rdmsrl(user_mode(regs) ? MSR_KERNEL_GS_BASE : MSR_GS_BASE);
		else if (*p == 0x66)
			*operand_bytes = 2;
		else if (*p == 0x67)
			narrow = true;
		else if (*p != 0xf0 && *p != 0xf2 && *p != 0xf3 && *p != 0x2e && *p != 0x36 && *p != 0x3e && *p != 0x26)
			break;
	}
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	if (rex & 8)
		*operand_bytes = 8;
	opcode = *p++;
	if (opcode == 0x0f) {
		map = MAP_0F;
		opcode = *p++;
		if (opcode == 0x38 || opcode == 0x3a) {
			map = opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
			opcode = *p++;
		}
	}
	follows = map > MAP_0F || bit(has_modrm[map], opcode);
	if (follows)
		modrm = *p++;
	if (modrm >> 6 == 3)
		return REG((modrm & 7) | (rex & 1) << 3) + base;
	if (follows && (modrm & 7) == 4) {
		u8 sib = *p++;

		if (((sib >> 3 & 7) | (rex & 2) << 2) != 4)
			address = REG((sib >> 3 & 7) | (rex & 2) << 2) << (sib >> 6);
		if ((sib & 7) == 5 && !(modrm >> 6))
			address += *(const s32 *)p;
		else
			address += REG((sib & 7) | (rex & 1) << 3);
	} else if (follows && (modrm & 7) == 5 && !(modrm >> 6))
		address = regs->ip + (p + 4 - insn) + immediate_bytes(map, opcode, modrm, *operand_bytes) + *(const s32 *)p;
	else
		address = REG((modrm & 7) | (rex & 1) << 3);
	if (modrm >> 6 == 1)
		address += *(const s8 *)p;
	else if (modrm >> 6 == 2)
		address += *(const s32 *)p;
	if (narrow)
		address = (u32)address;
	return address + base;
#undef REG
}
