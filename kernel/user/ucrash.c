/* ucrash KIND: dies in user mode in this way, for what the kernel has to say of that. Names as in Linux's logs of it. */
#include <libc.h>

typedef void (*function)(void);

static void nullr(void) { (void)*(volatile int *)0; }
static void nullw(void) { *(volatile int *)0x10 = 1; }
static void nullx(void) { ((function)0)(); }
static void kern(void) { (void)*(volatile int *)0xffffffff81000000; }
static void noncanon(void) { (void)*(volatile long *)0xdead000000000000; }
static void div0(void) { __asm__ volatile("xorl %%ecx, %%ecx; xorl %%edx, %%edx; movl $1, %%eax; divl %%ecx" : : : "eax", "ecx", "edx"); }
static void ud2(void) { __asm__ volatile("ud2"); }
static void int3(void) { __asm__ volatile("int3"); }
static void hlt(void) { __asm__ volatile("hlt"); }
/* Nothing looks at alignment until a program asks for it: EFLAGS.AC, with CR0.AM set by the kernel. */
static void align(void) { __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; movl 1(%%rsp), %%eax" : : : "eax", "cc", "memory"); }

static void stackx(void)
{
	unsigned char code[64] = { 0xc3 };

	__asm__ volatile("call *%0" : : "r"(code) : "memory");
}

#define KIND(name) { #name, name }
static const struct { const char *name; function run; } kinds[] = {
	KIND(nullr), KIND(nullw), KIND(nullx), KIND(kern), KIND(noncanon), KIND(div0), KIND(ud2), KIND(int3), KIND(hlt), KIND(stackx),
	KIND(align),
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(argv[1], kinds[i].name))
			kinds[i].run();
	dprintf(2, "usage: ucrash KIND, one of");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		dprintf(2, " %s", kinds[i].name);
	dprintf(2, "\n");
	return 2;
}
