/*
 * The kernel's own mappings at the end of booting: text is read-only and executable, constants read-only, the rest
 * no-execute; the same pages are no less protected at their direct-map address; no page is both writable and
 * executable; and the identity map of the first instructions is gone, so that NULL is nowhere.
 * Mirrors Linux arch/x86/mm/init_64.c.
 */
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/set_memory.h>

extern char __start_rodata[], __end_rodata[], __init_begin[], __init_end[];
extern unsigned long level2_ident_pgt[512], level2_kernel_pgt[512];

static int pages(const char *from, const char *to)
{
	return (to - from) / PAGE_SIZE;
}

#define ALIAS(address) ((unsigned long)__va(__pa((unsigned long)(address))))

void mark_rodata_ro(void)
{
	unsigned long text = (unsigned long)_text, end = ALIGN((unsigned long)_end, 1UL << 21);

	printk(KERN_INFO "Write protecting the kernel read-only data: %luk\n", (unsigned long)(__end_rodata - _text) >> 10);
	/* The direct map has no code; its tables are the identity map's too. */
	for (int i = 0; i < 512; i++)
		level2_ident_pgt[i] |= _PAGE_NX;
	init_top_pgt[0].pgd = 0;
	/* The image's map ends where the image does. */
	for (int i = 0; i < 512; i++)
		if (level2_kernel_pgt[i] & _PAGE_PSE && (__START_KERNEL_map + ((unsigned long)i << 21) < (text & ~0x1fffffUL) ||
							 __START_KERNEL_map + ((unsigned long)i << 21) >= end))
			level2_kernel_pgt[i] = 0;
	set_memory_ro(text, pages(_text, __end_rodata));
	set_memory_ro(ALIAS(_text), pages(_text, __end_rodata));
	set_memory_nx((unsigned long)__start_rodata, (end - (unsigned long)__start_rodata) / PAGE_SIZE);
	for_each_exception_guard(guard, &exception_stacks)
		set_memory_np((unsigned long)guard, 1);
	flush_tlb_all();
}

/* Code and data of the boot itself are memory like any other from here on. */
void free_initmem(void)
{
	printk(KERN_INFO "Freeing unused kernel image (initmem) memory: %luK\n", (unsigned long)(__init_end - __init_begin) >> 10);
	memset(__init_begin, 0xcc, __init_end - __init_begin);
	set_memory_nx((unsigned long)__init_begin, pages(__init_begin, __init_end));
	for (char *p = __init_begin; p < __init_end; p += PAGE_SIZE)
		free_reserved_page(virt_to_page(p));
}
