/* Making CPUs forget translations of the kernel's pages. Mirrors parts of Linux arch/x86/mm/tlb.c. */
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <linux/smp.h>

/* As many pages are forgotten one by one (Linux: tlb_single_page_flush_ceiling). */
#define SINGLE_PAGE_FLUSH_CEILING 33

struct flush_tlb_info { unsigned long start, end; };

/* Global translations go with PGE. */
void __flush_tlb_all(void)
{
	unsigned long flags = local_irq_save(), cr4 = read_cr4();

	write_cr4(cr4 ^ X86_CR4_PGE);
	write_cr4(cr4);
	local_irq_restore(flags);
}

static void do_flush_tlb_all(void *unused)
{
	__flush_tlb_all();
}

void flush_tlb_all(void)
{
	on_each_cpu(do_flush_tlb_all, NULL, true);
}

static void do_kernel_range_flush(void *arg)
{
	struct flush_tlb_info *info = arg;

	for (unsigned long addr = info->start; addr < info->end; addr += PAGE_SIZE)
		invlpg(addr);
}

void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	struct flush_tlb_info info = { start, end };

	if (end - start > SINGLE_PAGE_FLUSH_CEILING * PAGE_SIZE)
		flush_tlb_all();
	else
		on_each_cpu(do_kernel_range_flush, &info, true);
}
