/* Virtually contiguous memory, each area with an unmapped page behind it. Mirrors Linux mm/vmalloc.c. */
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/spinlock.h>

struct list_head vmap_area_list = LIST_HEAD_INIT(vmap_area_list);
static DEFINE_SPINLOCK(vmap_area_lock); /* of the list and of the kernel's page tables */

void vmalloc_init(void)
{
}

/*
 * Where areas begin. Not at the very start, because the image, struct pages and tables of the shadow do lie at such round
 * addresses: stacks would share their places in a TLB whose places addresses' middle bits choose.
 */
#define VMALLOC_FIRST (VMALLOC_START + (4UL << 20))

/* Takes the pages of [start, end) out of the page tables and, unless they are the caller's, frees them. */
static void free_area_pages(unsigned long start, unsigned long end, bool owned)
{
	for (unsigned long a = start; a < end; a += PAGE_SIZE) {
		unsigned long *pte = pte_of(init_top_pgt, a, false);

		if (owned)
			free_page((unsigned long)__va(*pte & PTE_PFN_MASK));
		*pte = 0;
	}
}

/*
 * First hole that fits; task stacks want their guard page below, so each area also starts after one. What it shows is
 * `pages`, or without them pages of its own.
 */
static void *alloc_area(size_t size, unsigned long start, unsigned long end, struct page **pages, const void *caller)
{
	size_t bytes = ALIGN(size, (size_t)PAGE_SIZE);
	unsigned long addr = start + PAGE_SIZE, at_page, flags;
	struct list_head *before = &vmap_area_list;
	struct vmap_area *va = kzalloc(sizeof(*va), GFP_KERNEL), *at;
	struct vm_struct *vm = kzalloc(sizeof(*vm), GFP_KERNEL);

	if (!va || !vm)
		goto fail;
	spin_lock_irqsave(&vmap_area_lock, flags);
	list_for_each_entry(at, &vmap_area_list, list) {
		if (at->va_end <= addr)
			continue;
		if (at->va_start >= end || addr + bytes + PAGE_SIZE <= at->va_start) {
			before = &at->list;
			break;
		}
		if (at->va_start >= start)
			addr = at->va_end + PAGE_SIZE;
	}
	if (addr + bytes + PAGE_SIZE > end) {
		spin_unlock_irqrestore(&vmap_area_lock, flags);
		goto fail;
	}
	va->va_start = addr;
	va->va_end = addr + bytes + PAGE_SIZE;
	va->vm = vm;
	vm->addr = (void *)addr;
	vm->size = bytes + PAGE_SIZE;
	vm->nr_pages = bytes / PAGE_SIZE;
	vm->flags = pages ? VM_MAP : VM_ALLOC;
	vm->caller = caller;
	list_add_tail(&va->list, before);
	for (at_page = addr; at_page < addr + bytes; at_page += PAGE_SIZE) {
		unsigned long page = pages ? (unsigned long)page_address(pages[(at_page - addr) / PAGE_SIZE]) : get_zeroed_page(GFP_KERNEL);
		unsigned long *pte = page ? pte_of(init_top_pgt, at_page, true) : NULL;

		if (!pte) {
			if (!pages)
				free_page(page);
			goto fail_pages;
		}
		*pte = __pa(page) | PAGE_KERNEL;
	}
	if (kasan_populate_vmalloc(addr, bytes + PAGE_SIZE))
		goto fail_pages;
	spin_unlock_irqrestore(&vmap_area_lock, flags);
	return kasan_unpoison_vmalloc((void *)addr, size, pages);
fail_pages: /* nobody has touched them yet: no TLB knows them */
	free_area_pages(addr, at_page, !pages);
	list_del(&va->list);
	spin_unlock_irqrestore(&vmap_area_lock, flags);
fail:
	kfree(va);
	kfree(vm);
	return NULL;
}

/* The area that addr lies in, its guard page included; NULL when there is none. */
struct vmap_area *find_vmap_area(unsigned long addr)
{
	struct vmap_area *va, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&vmap_area_lock, flags);
	list_for_each_entry(va, &vmap_area_list, list)
		if (addr >= va->va_start && addr < va->va_end) {
			found = va;
			break;
		}
	spin_unlock_irqrestore(&vmap_area_lock, flags);
	return found;
}

void *vmalloc(size_t size)
{
	return alloc_area(size, VMALLOC_FIRST, VMALLOC_END, NULL, __builtin_return_address(0));
}

void *module_alloc(size_t size)
{
	return alloc_area(size, MODULES_VADDR - PAGE_SIZE, MODULES_END, NULL, __builtin_return_address(0));
}

/* The caller's pages in a row. */
void *vmap(struct page **pages, unsigned int count)
{
	return alloc_area(count * PAGE_SIZE, VMALLOC_FIRST, VMALLOC_END, pages, __builtin_return_address(0));
}

/* The same for a while; Linux keeps small ones apart. */
void *vm_map_ram(struct page **pages, unsigned int count, int node)
{
	return alloc_area(count * PAGE_SIZE, VMALLOC_FIRST, VMALLOC_END, pages, __builtin_return_address(0));
}

/* The page that an address of an area shows; NULL when there is none. */
struct page *vmalloc_to_page(const void *addr)
{
	unsigned long *pte = pte_of(init_top_pgt, (unsigned long)kasan_reset_tag(addr), false);

	return pte && *pte & _PAGE_PRESENT ? pfn_to_page((*pte & PTE_PFN_MASK) >> PAGE_SHIFT) : NULL;
}

/* Takes an area of that kind away. */
static void remove_area(const void *p, unsigned long kind)
{
	struct vmap_area *va, *found = NULL;
	unsigned long flags;

	if (!p)
		return;
	spin_lock_irqsave(&vmap_area_lock, flags);
	list_for_each_entry(va, &vmap_area_list, list)
		if (va->va_start == (unsigned long)kasan_reset_tag(p) && va->vm->flags & kind) {
			found = va;
			break;
		}
	spin_unlock_irqrestore(&vmap_area_lock, flags);
	if (!found)
		return;
	for (unsigned long a = va->va_start; a < va->va_end - PAGE_SIZE; a += PAGE_SIZE)
		*pte_of(init_top_pgt, a, false) &= ~_PAGE_PRESENT;
	flush_tlb_kernel_range(va->va_start, va->va_end - PAGE_SIZE);
	free_area_pages(va->va_start, va->va_end - PAGE_SIZE, kind == VM_ALLOC);
	kasan_poison_vmalloc((void *)va->va_start, va->va_end - va->va_start);
	spin_lock_irqsave(&vmap_area_lock, flags);
	list_del_init(&va->list);
	spin_unlock_irqrestore(&vmap_area_lock, flags);
	kfree(va->vm);
	kfree(va);
}

void vfree(const void *p)
{
	remove_area(p, VM_ALLOC);
}

void vunmap(const void *p)
{
	remove_area(p, VM_MAP);
}

void vm_unmap_ram(const void *p, unsigned int count)
{
	remove_area(p, VM_MAP);
}
EXPORT_SYMBOL(vmalloc);
EXPORT_SYMBOL(vfree);
EXPORT_SYMBOL(vmap);
EXPORT_SYMBOL(vunmap);
EXPORT_SYMBOL(vm_map_ram);
EXPORT_SYMBOL(vm_unmap_ram);
EXPORT_SYMBOL(vmalloc_to_page);
