/*
 * Runs single x87 instructions on the processor at hand. Standard input and output carry records: an FXSAVE image,
 * 128 bytes of memory for the operand at [rsi], RFLAGS, RAX, the instruction with its length in front.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct record {
	uint8_t state[512];
	uint8_t memory[128];
	uint64_t rflags, rax;
	uint8_t length, code[15];
	uint8_t padding[96];
};

typedef void (*program)(const void *in, void *memory, void *out, uint64_t *flags_and_rax);

/* fxrstor64 [rdi]; push [rcx]; popfq; mov rax, [rcx+8] */
static const uint8_t before[] = { 0x48, 0x0f, 0xae, 0x0f, 0xff, 0x31, 0x9d, 0x48, 0x8b, 0x41, 0x08 };
/* fxsave64 [rdx]; mov [rcx+8], rax; pushfq; pop [rcx]; ret */
static const uint8_t after[] = { 0x48, 0x0f, 0xae, 0x02, 0x48, 0x89, 0x41, 0x08, 0x9c, 0x8f, 0x01, 0xc3 };

int main(void)
{
	static struct record record __attribute__((aligned(64)));
	static uint8_t out[512] __attribute__((aligned(64))), own[512] __attribute__((aligned(64)));
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (code == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	memcpy(code, before, sizeof before);
	__asm__ volatile("fxsave64 %0" : "=m"(own));
	while (fread(&record, sizeof record, 1, stdin) == 1) {
		if (record.length > sizeof record.code)
			return 1;
		memcpy(code + sizeof before, record.code, record.length);
		memcpy(code + sizeof before + record.length, after, sizeof after);
		((program)(void *)code)(record.state, record.memory, out, &record.rflags);
		__asm__ volatile("fxrstor64 %0" : : "m"(own));
		memcpy(record.state, out, sizeof out);
		fwrite(&record, sizeof record, 1, stdout);
	}
	return 0;
}
