/* What this and other CPUs know of the page tables. The kernel's pages are global: they outlive loads of CR3. */
#ifndef _ASM_TLBFLUSH_H
#define _ASM_TLBFLUSH_H

/* All of it, on this CPU; on every one. */
void __flush_tlb_all(void);
void flush_tlb_all(void);
/* Of these kernel addresses, on every CPU: before memory is anybody else's or a permission counts. */
void flush_tlb_kernel_range(unsigned long start, unsigned long end);
#endif
