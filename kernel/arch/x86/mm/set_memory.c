/* Permissions of kernel pages, page by page. Mirrors Linux arch/x86/mm/pat/set_memory.c. */
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/set_memory.h>

/* A large page becomes a table of small ones with the same permissions. */
static int split_large_page(unsigned long *pmd)
{
	unsigned long *table = (unsigned long *)get_zeroed_page(GFP_KERNEL);
	unsigned long flags = *pmd & ~PTE_PFN_MASK & ~_PAGE_PSE, frame = *pmd & PTE_PFN_MASK;

	if (!table)
		return -ENOMEM;
	for (int i = 0; i < 512; i++)
		table[i] = (frame + i * PAGE_SIZE) | flags;
	*pmd = __pa((unsigned long)table) | _KERNPG_TABLE;
	return 0;
}

static int change_page_attr(unsigned long addr, int numpages, unsigned long set, unsigned long clear)
{
	unsigned long end = addr + numpages * PAGE_SIZE;

	for (unsigned long a = addr; a < end; a += PAGE_SIZE) {
		unsigned long *pte = pte_of(init_top_pgt, a, false);

		if (!pte || !(*pte & _PAGE_PRESENT))
			continue;
		if (*pte & _PAGE_PSE) {
			int err = split_large_page(pte);

			if (err)
				return err;
			pte = pte_of(init_top_pgt, a, false);
		}
		*pte = (*pte & ~clear) | set;
	}
	flush_tlb_kernel_range(addr, end);
	return 0;
}

int set_memory_ro(unsigned long addr, int numpages)
{
	return change_page_attr(addr, numpages, 0, _PAGE_RW | _PAGE_DIRTY);
}

int set_memory_rw(unsigned long addr, int numpages)
{
	return change_page_attr(addr, numpages, _PAGE_RW, 0);
}

int set_memory_nx(unsigned long addr, int numpages)
{
	return change_page_attr(addr, numpages, _PAGE_NX, 0);
}

int set_memory_4k(unsigned long addr, int numpages)
{
	return change_page_attr(addr, numpages, 0, 0);
}

int set_memory_np(unsigned long addr, int numpages)
{
	return change_page_attr(addr, numpages, 0, _PAGE_PRESENT | _PAGE_GLOBAL);
}

int set_memory_x(unsigned long addr, int numpages)
{
	return change_page_attr(addr, numpages, 0, _PAGE_NX);
}
