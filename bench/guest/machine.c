/* Traps, page faults and system calls of the bench guest; also its main(). */
#include "bench.h"

#ifdef __x86_64__
struct gate {
	unsigned short low, selector, kind, mid;
	u32 high, zero;
} __attribute__((packed));
#else
struct gate {
	unsigned short low, selector, kind, mid;
} __attribute__((packed));
#endif

static struct gate idt[256];
extern word fault_table[];

static void set_gate(u32 vector, void (*handler)(void))
{
	word at = (word)handler;

	idt[vector].low = (unsigned short)at;
	idt[vector].selector = 0x08;
	idt[vector].kind = 0x8e00;
	idt[vector].mid = (unsigned short)(at >> 16);
#ifdef __x86_64__
	idt[vector].high = (u32)(at >> 32);
#endif
}

static void out(unsigned short port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void put(char c)
{
	u8 status;

	do
		__asm__ volatile("inb %1, %0" : "=a"(status) : "Nd"((unsigned short)0x3fd));
	while (!(status & 0x20));
	out(0x3f8, (u8)c);
}

static void print(const char *text)
{
	while (*text)
		put(*text++);
}

static void print_hex(u32 value)
{
	for (i32 shift = 28; shift >= 0; shift -= 4)
		put("0123456789abcdef"[(value >> shift) & 15]);
}

/* #PF, map, touch, unmap, INVLPG: one page after the other in the gigabyte above 1 GiB. */
static u32 run_pfault(void)
{
	u32 sum = 0;

	for (u32 i = 0; i < 200000; i++) {
		u32 page = i & 511;
		volatile u32 *at = (volatile u32 *)((word)0x40000000u + page * 4096u);

		*at = i;
		sum += *at;
		fault_table[page] = 0;
		__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
	}
	return sum;
}

static u32 run_int80(void)
{
	u32 count = 0;

	for (u32 i = 0; i < 500000; i++)
		__asm__ volatile("int $0x80" : "+a"(count) : : "memory");
	return count;
}

/* Writes a function, calls it, writes its immediate anew: what a compiler of code at run time does. */
static u32 run_smc(void)
{
	static u8 code[64] __attribute__((aligned(64)));
	u32 sum = 0;

	code[0] = 0xb8;	/* mov $imm32, %eax */
	code[5] = 0xc3; /* ret */
	for (u32 i = 0; i < 100000; i++) {
		*(volatile u32 *)(code + 1) = i * 2654435761u;
		__asm__ volatile("" : : : "memory");
		sum ^= ((u32 (*)(void))code)();
	}
	return sum;
}

#ifdef __x86_64__
u32 enter_user(u64 unused, u64 count);
void syscall_entry(void);

static void write_msr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)));
}

/* SYSCALL in ring 3, SYSRET in ring 0 (SDM 3A 5.8.8). */
static u32 run_syscall(void)
{
	write_msr(0xc0000081, (u64)0x08 << 32 | (u64)0x18 << 48);
	write_msr(0xc0000082, (u64)syscall_entry);
	write_msr(0xc0000084, 0x200);
	return enter_user(0, 1000000);
}
#endif

static const struct {
	const char *name;
	u32 (*run)(void);
} programs[] = {
	{ "alu", run_alu },	    { "sieve", run_sieve },   { "memloop", run_memloop }, { "memrep", run_memrep },
	{ "chase", run_chase },	    { "qsort", run_qsort },   { "crc32", run_crc32 },	  { "fib", run_fib },
	{ "vm", run_vm },	    { "sha256", run_sha256 }, { "mix", run_mix },	  { "xpage", run_xpage },
	{ "pfault", run_pfault },   { "int80", run_int80 },   { "pio", run_pio },
	{ "smc", run_smc },
#ifdef __x86_64__
	{ "syscall", run_syscall },
#endif
};

/* Whether a word of the multiboot command line is the name; no word: everything is wanted. */
static i32 is_wanted(const char *words, const char *name)
{
	while (*words == ' ')
		words++;
	if (!*words)
		return 1;
	while (*words) {
		const char *at = name;

		while (*at && *words == *at)
			words++, at++;
		if (!*at && (*words == ' ' || !*words))
			return 1;
		while (*words && *words != ' ')
			words++;
		while (*words == ' ')
			words++;
	}
	return 0;
}

/* Some boot loaders put the path of the image before the arguments; a path is no program's name. */
static const char *arguments(const u32 *information)
{
	const char *words = information && (information[0] & 4) ? (const char *)(word)information[4] : "";
	const char *at = words;

	while (*at && *at != ' ')
		if (*at++ == '/')
			while (*words && *words != ' ')
				words++;
	return words;
}

/* Every program twice: the first run is the emulator's warm-up, the second is the one that counts. */
int main(const u32 *information)
{
	const char *words = arguments(information);
	struct {
		unsigned short limit;
		word base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (word)idt };

	set_gate(14, trap_page_fault);
	set_gate(0x80, trap_int80);
	__asm__ volatile("lidt %0" : : "m"(pointer));
	out(0x3fb, 0x03);
	for (u32 i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		for (u32 turn = 0; turn < 2 && is_wanted(words, programs[i].name); turn++) {
			print("> ");
			print(programs[i].name);
			put('\n');
			u32 sum = programs[i].run();
			print("< ");
			print_hex(sum);
			put('\n');
		}
	print("done\n");
	return 0;
}

void *memset(void *to, int value, word count)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, word count)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
	return to;
}
