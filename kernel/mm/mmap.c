/* brk() and anonymous mmap(). Mirrors Linux mm/mmap.c. */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/syscalls.h>

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define AREA_MAX (1UL << 30)

static struct vm_area_struct *heap_of(struct mm_struct *mm)
{
	return mm->brk > mm->start_brk ? find_vma(mm, mm->start_brk) : NULL;
}

/* The heap is one area that is made again when it changes size; its pages stay. */
SYSCALL_DEFINE(brk)
{
	struct mm_struct *mm = current->mm;
	unsigned long end = ALIGN(regs->di, PAGE_SIZE + 0UL);
	struct vm_area_struct *heap = heap_of(mm);

	if (regs->di < mm->start_brk || end - mm->start_brk > AREA_MAX)
		return mm->brk;
	if (!heap && end > mm->start_brk && vm_map(mm, mm->start_brk, end, VM_READ | VM_WRITE, NULL, 0))
		return mm->brk;
	if (heap) {
		if (heap->vm_next && end > heap->vm_next->vm_start)
			return mm->brk;
		if (end <= heap->vm_end) /* shrinking keeps the pages until exit */
			end = heap->vm_end;
		mm->total_vm += (end - heap->vm_end) >> PAGE_SHIFT;
		heap->vm_end = end;
	}
	mm->brk = max(regs->di, mm->start_brk);
	return mm->brk;
}

noinline unsigned long vm_mmap(unsigned long size, unsigned long flags)
{
	struct mm_struct *mm = current->mm;
	unsigned long at = mm->mmap_base - size;
	int err;

	for (struct vm_area_struct *v = mm->mmap; v; v = v->vm_next) { /* highest hole below mmap_base */
		if (v->vm_end <= at || v->vm_start >= at + size)
			continue;
		at = v->vm_start - size;
		v = mm->mmap;
	}
	if (at < mm->brk + (1UL << 20) || at > mm->mmap_base)
		return -ENOMEM;
	err = vm_map(mm, at, at + size, flags, NULL, 0);
	return err ? (unsigned long)err : at;
}

SYSCALL_DEFINE(mmap)
{
	unsigned long flags = 0;

	if (!regs->si || regs->si > AREA_MAX)
		return -EINVAL;
	if (!(regs->r10 & MAP_ANONYMOUS))
		return -ENODEV;
	if (regs->dx & PROT_READ)
		flags |= VM_READ;
	if (regs->dx & PROT_WRITE)
		flags |= VM_WRITE;
	if (regs->dx & PROT_EXEC)
		flags |= VM_EXEC;
	return vm_mmap(ALIGN(regs->si, PAGE_SIZE + 0UL), flags);
}

/* Whole areas only. */
SYSCALL_DEFINE(munmap)
{
	unsigned long start = regs->di, end = start + ALIGN(regs->si, PAGE_SIZE + 0UL);

	if (start & ~PAGE_MASK || end <= start || end > TASK_SIZE)
		return -EINVAL;
	for (struct vm_area_struct *v = current->mm->mmap; v; v = v->vm_next)
		if (v->vm_start < end && v->vm_end > start && (v->vm_start < start || v->vm_end > end))
			return -EINVAL;
	return vm_unmap(current->mm, start, end);
}
