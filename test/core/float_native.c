/* Runs loops over tables on the CPU: for each, on standard input, code length, case count, code, table; the table
 * goes to standard output. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CASE 96

int main(void)
{
	unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t head[2];

	if (code == MAP_FAILED)
		return 1;
	while (fread(head, sizeof(head), 1, stdin) == 1) {
		unsigned char *table = malloc((size_t)head[1] * CASE);
		uint32_t mxcsr;

		if (head[0] > 4000 || !table || fread(code, head[0], 1, stdin) != 1 ||
		    fread(table, CASE, head[1], stdin) != head[1])
			return 1;
		code[head[0]] = 0xc3;
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		/* Leave the red zone alone: the code pushes. */
		__asm__ volatile("mov %0, %%rbx\n\tmov %1, %%ecx\n\tsub $256, %%rsp\n\tcall *%2\n\tadd $256, %%rsp"
				 :
				 : "r"((uint64_t)table), "r"(head[1]), "r"((uint64_t)code)
				 : "rax", "rbx", "rcx", "rdx", "xmm0", "xmm1", "mm0", "mm1", "memory", "cc");
		__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
		fwrite(table, CASE, head[1], stdout);
		free(table);
	}
	return 0;
}
