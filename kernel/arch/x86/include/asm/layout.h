/*
 * The one map of the address space.
 *
 *   0000000000000000 - 00007fffffffffff  user
 *   ffff888000000000                     direct map of all RAM
 *   ffffc90000000000                     vmalloc: task stacks with guard pages, large allocations
 *   ffffea0000000000                     vmemmap: one struct page per frame
 *   ffffffff80000000 + physical          kernel image
 *   ffffffffa0000000                     modules
 *   ffffffffff5fb000                     I/O APIC, local APIC
 */
#ifndef _ASM_LAYOUT_H
#define _ASM_LAYOUT_H

#define __START_KERNEL_map	0xffffffff80000000
#define PAGE_OFFSET		0xffff888000000000
#define VMALLOC_START		0xffffc90000000000
#define VMALLOC_END		0xffffe8ffffffffff
#define VMEMMAP_START		0xffffea0000000000
#define MODULES_VADDR		0xffffffffa0000000
#define MODULES_END		0xffffffffff000000
#define TASK_SIZE		0x00007ffffffff000

#define PAGE_SHIFT	12
#define PAGE_SIZE	4096
#define PAGE_MASK	(~(PAGE_SIZE - 1UL))
/* red zones around stack objects take room: twice as much, as in Linux */
#ifdef CONFIG_KASAN_STACK
#define THREAD_SIZE	32768
#else
#define THREAD_SIZE	16384
#endif

/* GDT selectors */
#define __KERNEL_CS	0x10
#define __KERNEL_DS	0x18
#define __USER_DS	0x2b
#define __USER_CS	0x33
#define GDT_TSS		0x40

/* Members of struct x86_hw_tss, for assembler */
#define TSS_sp2		20
#define TSS_ist		36

/* Where the local APIC and the I/O APIC are mapped (Linux: FIX_APIC_BASE, FIX_IO_APIC_BASE_0) */
#define FIX_APIC_BASE	0xffffffffff5fc000
#define FIX_IO_APIC_BASE 0xffffffffff5fb000

/* Real-mode page in which the other processors wake up */
#define TRAMPOLINE	0x8000

#define X86_CR0_PG	0x80000000
#endif
