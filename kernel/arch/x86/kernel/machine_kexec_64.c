/*
 * The jump into another kernel. Its control pages hold a PML4, a PDPT and a page directory that map the first GiB
 * as it lies (and this kernel, for the last steps here), then the code of relocate_kernel_64.S with its stack.
 * Mirrors Linux arch/x86/kernel/machine_kexec_64.c.
 */
#include <asm/apic.h>
#include <asm/processor.h>
#include <linux/kasan.h>
#include <linux/kexec.h>
#include <linux/mm.h>

#define LARGE_PAGE 0xe3UL
extern const char relocate_kernel[], relocate_kernel_end[];
enum { PML4, PDPT, PD, CODE };

static void *control_page(const struct kimage *image, int n)
{
	return __va(image->control_pages + n * PAGE_SIZE);
}

int machine_kexec_prepare(struct kimage *image)
{
	unsigned long *pml4 = control_page(image, PML4), *pdpt = control_page(image, PDPT), *pd = control_page(image, PD);

	memset(pml4, 0, KEXEC_CONTROL_PAGES * PAGE_SIZE);
	memcpy(pml4 + 256, init_top_pgt + 256, 256 * sizeof(*pml4));
	pml4[0] = __pa(pdpt) | _KERNPG_TABLE;
	pdpt[0] = __pa(pd) | _KERNPG_TABLE;
	for (unsigned long i = 0; i < 512; i++)
		pd[i] = i << 21 | LARGE_PAGE;
	memcpy(control_page(image, CODE), relocate_kernel, relocate_kernel_end - relocate_kernel);
	return 0;
}

/* No exception can be taken from the empty IDT on until the next kernel loads its own. */
noinline void machine_kexec(struct kimage *image)
{
	struct { u16 limit; unsigned long base; } __packed none = { 0, 0 };
	unsigned long code = image->control_pages + CODE * PAGE_SIZE;
	void (*relocate)(kimage_entry_t head, unsigned long stack, unsigned long start) = (void *)code;

	local_irq_disable();
	setup_nmi_clock(false);
	kasan_stop_cpu(); /* the next kernel has no shadow yet */
	write_cr4(read_cr4() & ~0x20000UL); /* PCIDE first: CR3 loads mean what they say */
	write_cr3(image->control_pages);
	__asm__ volatile("lidt %0; lgdt %0" : : "m"(none));
	relocate(image->head, code + PAGE_SIZE, image->start);
	__builtin_unreachable();
}
