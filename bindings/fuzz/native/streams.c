/*
 * Runs blocks of user code on the processor at hand. Standard input: u32 code size, blocks, runs; the blocks' offsets in
 * the code (u32 each, and the code's end); the code; then for each run the blocks' input states. Standard output: for
 * each run the blocks' output states. Each block loads its input and stores its output itself; for one that faults
 * the signal handler stores what the processor reported, and goes on with the next block.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CODE ((uint8_t *)0x10000000)
#define CODE_SIZE 0x400000
#define IN ((uint8_t *)0x20000000)
#define OUT ((uint8_t *)0x28000000)
#define AREA_SIZE 0x400000
#define STRIDE 2048
#define ARENA_PAGES ((uint8_t *)0x30000000)
#define ARENA ((uint8_t *)0x30000e00)
#define ARENA_SIZE 1024

/* Output state: FXSAVE image, arena, registers in encoding order, flags, RIP, vector, error code, CR2. */
struct output {
	uint8_t fx[512];
	uint8_t arena[ARENA_SIZE];
	uint64_t registers[16], flags, rip, vector, error, cr2;
};

static uint32_t offsets[4096], blocks;
static sigjmp_buf end;

static void handle(int signal, siginfo_t *info, void *context)
{
	static const int order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				       REG_R8,	REG_R9,	 REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	ucontext_t *uc = context;
	greg_t *gregs = uc->uc_mcontext.gregs;
	uint64_t at = gregs[REG_RIP] - (uint64_t)CODE;
	uint32_t block = 0;
	struct output *out;

	(void)info;
	if (at >= offsets[blocks])
		siglongjmp(end, signal == SIGTRAP ? 1 : 2);
	while (offsets[block + 1] <= at)
		block++;
	out = (struct output *)(OUT + block * STRIDE);
	memcpy(out->fx, uc->uc_mcontext.fpregs, sizeof out->fx);
	memcpy(out->arena, ARENA, ARENA_SIZE);
	for (int i = 0; i < 16; i++)
		out->registers[i] = gregs[order[i]];
	out->flags = gregs[REG_EFL];
	out->rip = gregs[REG_RIP];
	out->vector = gregs[REG_TRAPNO];
	out->error = gregs[REG_ERR];
	out->cr2 = out->vector == 14 ? gregs[REG_CR2] : 0;
	gregs[REG_RIP] = (greg_t)(CODE + offsets[block + 1]);
	gregs[REG_EFL] = 0x202;
}

static void *map(void *at, size_t size, int rights)
{
	void *got = mmap(at, size, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (got != at) {
		perror("mmap");
		exit(1);
	}
	return got;
}

static void fetch(void *to, size_t size)
{
	if (fread(to, 1, size, stdin) != size)
		exit(1);
}

int main(void)
{
	static uint8_t own[512] __attribute__((aligned(64)));
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	uint32_t head[3];

	map(CODE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(IN, AREA_SIZE, PROT_READ | PROT_WRITE);
	map(OUT, AREA_SIZE, PROT_READ | PROT_WRITE);
	map(ARENA_PAGES - 4096, 16384, PROT_NONE);
	map(ARENA_PAGES, 8192, PROT_READ | PROT_WRITE);
	sigaltstack(&stack, NULL);
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	fetch(head, sizeof head);
	blocks = head[1];
	if (head[0] > CODE_SIZE || blocks * STRIDE > AREA_SIZE || blocks >= 4096)
		return 1;
	fetch(offsets, (blocks + 1) * sizeof *offsets);
	fetch(CODE, head[0]);
	__asm__ volatile("fxsave64 %0" : "=m"(own));
	for (uint32_t run = 0; run < head[2]; run++) {
		int why;

		fetch(IN, blocks * STRIDE);
		memset(OUT, 0, blocks * STRIDE);
		why = sigsetjmp(end, 1);
		if (why == 0)
			((void (*)(void))CODE)();
		__asm__ volatile("cld; fxrstor64 %0" : : "m"(own));
		if (why != 1)
			return 2;
		fwrite(OUT, 1, blocks * STRIDE, stdout);
	}
	return 0;
}
