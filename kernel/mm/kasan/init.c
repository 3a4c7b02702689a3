/*
 * Where the shadow comes from: memory of its own for the direct map and the kernel image; for vmalloc and modules what
 * is allocated with them (shadow.c); one read-only page of zeros for the rest. And the switch: the CPU's shadow check
 * (docs/kasan.md), where there is one. Mirrors Linux 6.1 arch/x86/mm/kasan_init_64.c and mm/kasan/init.c.
 */
#include "kasan.h"
#include <asm/tlbflush.h>
#include <linux/boot.h>
#include <linux/module.h>
#include <linux/smp.h>

#define MSR_SHADOW_CONTROL 0x4c414200
#define MSR_SHADOW_OFFSET 0x4c414201
#define MSR_SHADOW_EXEMPT_START 0x4c414202
#define MSR_SHADOW_EXEMPT_END 0x4c414203
#define CPUID_LAB 0x40000000
#define LAB_SHADOW_CHECK 1
#define LAB_TOP_BYTE_IGNORED 2
#define PAGE_KERNEL_RO (PAGE_KERNEL & ~_PAGE_RW & ~_PAGE_DIRTY)

extern char __kasan_exempt_start[], __kasan_exempt_end[];
bool kasan_enabled, kasan_checked;
static bool wanted;
#ifndef CONFIG_KASAN_STACK
/* In the tag modes a byte speaks for 16 bytes of memory; the shadow begins where that of generic mode does. */
#define KASAN_TAGS_SHADOW_OFFSET 0xeffff40000000000
enum kasan_kind kasan_kind;
unsigned int kasan_shadow_scale_shift = 3;
unsigned long kasan_shadow_offset = KASAN_GENERIC_OFFSET;
EXPORT_SYMBOL(kasan_kind);
EXPORT_SYMBOL(kasan_shadow_scale_shift);
EXPORT_SYMBOL(kasan_shadow_offset);
#endif

static u32 cpu_features(void);

/* The page of zeros, and tables full of it: of pages, of those, and of those. */
static unsigned long zero_tables[4][512] __attribute__((section(".bss..page_aligned"), aligned(4096)));

#ifdef CONFIG_KASAN_STACK
static void set_kind(bool software, bool hardware) { }
#else
static void set_kind(bool software, bool hardware)
{
	bool tags = software || hardware;

	kasan_kind = software ? KASAN_SW_TAGS : hardware ? KASAN_HW_TAGS : KASAN_GENERIC;
	kasan_shadow_scale_shift = tags ? 4 : 3;
	kasan_shadow_offset = tags ? KASAN_TAGS_SHADOW_OFFSET : KASAN_GENERIC_OFFSET;
}
#endif

/* The last one counts. */
static int kasan_setup(char *value)
{
	bool software = !strcmp(value, "sw_tags"), hardware = !strcmp(value, "hw_tags");

	wanted = !strcmp(value, "on") || software || hardware;
	set_kind(software, hardware);
	return 1;
}
early_param("kasan=", kasan_setup);

/* Everything between start and end that is not mapped yet shows zeros; shift is that of an entry of the table. */
static void populate_zero(unsigned long *table, int shift, unsigned long start, unsigned long end, void *(*alloc)(unsigned long))
{
	for (unsigned long next; start < end; start = next) {
		unsigned long *entry = &table[start >> shift & 511], span = 1UL << shift;

		next = min(end, (start | (span - 1)) + 1);
		if (!(*entry & _PAGE_PRESENT)) {
			if (next - start == span) {
				*entry = __pa(zero_tables[(shift - 12) / 9]) | (shift == 12 ? PAGE_KERNEL_RO : _KERNPG_TABLE);
				continue;
			}
			*entry = __pa(alloc(PAGE_SIZE)) | _KERNPG_TABLE;
		}
		if (shift > 12)
			populate_zero(__va(*entry & PTE_PFN_MASK), shift - 9, start, next, alloc);
	}
}

static void populate_real(const void *from, const void *to, void *(*alloc)(unsigned long))
{
	unsigned long start = (unsigned long)kasan_mem_to_shadow(from) & PAGE_MASK;
	unsigned long end = ALIGN((unsigned long)kasan_mem_to_shadow(to), (unsigned long)PAGE_SIZE);

	for (; start < end; start += PAGE_SIZE) {
		unsigned long *pte = pte_of(init_top_pgt, start, true);

		if (*pte & _PAGE_PRESENT) /* by the range before */
			continue;
		*pte = __pa(alloc(PAGE_SIZE)) | PAGE_KERNEL;
		if (kasan_tags())
			__memset(__va(*pte & PTE_PFN_MASK), KASAN_TAG_KERNEL, PAGE_SIZE);
	}
}

static void zero_between(unsigned long start, const void *to, void *(*alloc)(unsigned long))
{
	populate_zero((unsigned long *)init_top_pgt, 39, start, (unsigned long)to, alloc);
}

static void fill_zero_tables(unsigned long protection)
{
	for (int level = 1; level < 4; level++)
		for (int i = 0; i < 512; i++)
			zero_tables[level][i] = __pa(zero_tables[level - 1]) | (level == 1 ? protection : _KERNPG_TABLE);
}

/*
 * Functions whose stack objects have red zones write to the shadow as soon as they run: until there is one, all of it
 * is the one page, and nobody looks at it. A kernel without `kasan=on` stays like that.
 */
void kasan_early_init(void)
{
#ifdef CONFIG_KASAN_STACK
	fill_zero_tables(PAGE_KERNEL);
	for (unsigned long a = KASAN_SHADOW_START; a < KASAN_SHADOW_END; a += 1UL << 39)
		init_top_pgt[a >> 39 & 511].pgd = __pa(zero_tables[3]) | _KERNPG_TABLE;
#endif
}

/* Constructors: the compiler's lists of globals (mm/kasan/compiler.c). */
static void do_ctors(void)
{
	extern initcall_t __ctors_start[], __ctors_end[];

	for (void (**fn)(void) = (void (**)(void))__ctors_start; fn < (void (**)(void))__ctors_end; fn++)
		(*fn)();
}

void kasan_init(void *(*alloc)(unsigned long size))
{
	if (!wanted)
		return;
	if (kasan_tags() && !(cpu_features() & LAB_TOP_BYTE_IGNORED)) {
		pr_err("kasan: this processor does not ignore the top byte of pointers: no tags\n");
		set_kind(false, false);
		return;
	}
	for (unsigned long a = KASAN_SHADOW_START; a < KASAN_SHADOW_END; a += 1UL << 39)
		init_top_pgt[a >> 39 & 511].pgd = 0;
	__memset(zero_tables[0], kasan_tags() ? KASAN_TAG_INVALID : 0, PAGE_SIZE);
	fill_zero_tables(PAGE_KERNEL_RO);
	/* what there is of memory: a crash kernel has little of its own, far up */
	for (int i = 0; i < e820_count; i++) {
		char *start = __va(e820_table[i].addr), *end = start + e820_table[i].size;

		if (e820_table[i].type == E820_RAM && start < (char *)high_memory)
			populate_real(start, min(end, (char *)high_memory), alloc);
	}
	populate_real(_text, _end, alloc);
	/* vmalloc's and the modules' shadow stays empty, but every top-level entry exists */
	for (unsigned long a = (unsigned long)kasan_mem_to_shadow((void *)VMALLOC_START); a < (unsigned long)kasan_mem_to_shadow((void *)VMALLOC_END); a += 1UL << 39)
		if (!init_top_pgt[a >> 39 & 511].pgd)
			init_top_pgt[a >> 39 & 511].pgd = __pa(alloc(PAGE_SIZE)) | _KERNPG_TABLE;
	zero_between(KASAN_SHADOW_START, kasan_mem_to_shadow((void *)VMALLOC_START), alloc);
	zero_between((unsigned long)kasan_mem_to_shadow((void *)(VMALLOC_END + 1)), kasan_mem_to_shadow((void *)MODULES_VADDR), alloc);
	zero_between((unsigned long)kasan_mem_to_shadow((void *)MODULES_END), (void *)KASAN_SHADOW_END, alloc);
	__flush_tlb_all();
	kasan_init_shadow_words();
	kasan_enabled = true;
#ifdef CONFIG_KASAN_COMPILER
	kasan_checked = true;
#endif
	do_ctors();
	if (kasan_tags())
		kasan_init_tags(alloc);
	current->kasan_depth = 0;
	kasan_init_cpu();
	if (kasan_kind == KASAN_GENERIC)
		pr_info("KernelAddressSanitizer initialized\n");
	else if (kasan_kind == KASAN_SW_TAGS)
		pr_info("KernelAddressSanitizer initialized (sw-tags, stacktrace=%s)\n", kasan_stacktrace ? "on" : "off");
	else
		pr_info("KernelAddressSanitizer initialized (hw-tags, mode=%s, vmalloc=%s, stacktrace=%s)\n", kasan_mode_name(),
			kasan_vmalloc_tags ? "on" : "off", kasan_stacktrace ? "on" : "off");
}

static u32 cpu_features(void)
{
	u32 r[4];

	cpuid(CPUID_LAB, 0, r);
	if (r[0] < CPUID_LAB + 1 || r[1] != 0x73617263 || r[2] != 0x62616c68 || r[3] != 0x20555043) /* "crashlabCPU " */
		return 0;
	cpuid(CPUID_LAB + 1, 0, r);
	return r[0];
}

void kasan_init_cpu(void)
{
	if (!kasan_enabled || !(cpu_features() & LAB_SHADOW_CHECK))
		return;
	wrmsrl(MSR_SHADOW_OFFSET, KASAN_SHADOW_OFFSET);
	wrmsrl(MSR_SHADOW_EXEMPT_START, (unsigned long)__kasan_exempt_start);
	wrmsrl(MSR_SHADOW_EXEMPT_END, (unsigned long)__kasan_exempt_end);
	wrmsrl(MSR_SHADOW_CONTROL, kasan_tags() ? kasan_hw_control() : 1);
	kasan_checked = true;
}

/* Processors stop comparing when they have reported (mm/kasan/generic.c). */
static void enable_hw_tags(void *unused)
{
	wrmsrl(MSR_SHADOW_CONTROL, kasan_hw_control());
}

void kasan_enable_hw_tags(void)
{
	if (kasan_kind == KASAN_HW_TAGS && kasan_checked)
		on_each_cpu(enable_hw_tags, NULL, true);
}

void kasan_stop_cpu(void)
{
	if (kasan_enabled && cpu_features() & LAB_SHADOW_CHECK)
		wrmsrl(MSR_SHADOW_CONTROL, 0);
}
EXPORT_SYMBOL(kasan_enable_hw_tags);
EXPORT_SYMBOL(kasan_enabled);
EXPORT_SYMBOL(kasan_checked);
