/*
 * User address spaces: a list of areas, pages on first touch; fork copies what can be written and shares the rest.
 * Mirrors Linux mm/memory.c, mm/mmap.c and lib/usercopy.c.
 */
#include <linux/kasan.h>
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

unsigned long __copy_user(void *to, const void *from, unsigned long n);

struct mm_struct *mm_alloc(void)
{
	struct mm_struct *mm = kzalloc(sizeof(*mm), GFP_KERNEL);
	unsigned long pgd = get_zeroed_page(GFP_KERNEL);

	if (!mm || !pgd) {
		kfree(mm);
		free_page(pgd);
		return NULL;
	}
	mm->pgd = (pgd_t *)pgd;
	memcpy(mm->pgd + 256, init_top_pgt + 256, 256 * sizeof(pgd_t));
	mm->mm_users.counter = mm->mm_count.counter = 1;
	mm->task_size = TASK_SIZE;
	mm->mmap_base = 0x7fff00000000;
	return mm;
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next)
		if (addr < vma->vm_end)
			return addr >= vma->vm_start ? vma : NULL;
	return NULL;
}

int vm_map(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags, struct file *file, unsigned long pgoff)
{
	struct vm_area_struct *vma, *before = NULL, *after = mm->mmap;

	start &= PAGE_MASK;
	end = ALIGN(end, (unsigned long)PAGE_SIZE);
	if (start >= end || end > TASK_SIZE || !start)
		return -EINVAL;
	while (after && after->vm_end <= start) {
		before = after;
		after = after->vm_next;
	}
	if (after && after->vm_start < end)
		return -ENOMEM;
	vma = kzalloc(sizeof(*vma), GFP_KERNEL);
	if (!vma)
		return -ENOMEM;
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_flags = flags;
	vma->vm_mm = mm;
	vma->vm_pgoff = pgoff;
	vma->vm_file = file;
	if (file)
		file->f_count.counter++;
	vma->vm_prev = before;
	vma->vm_next = after;
	if (before)
		before->vm_next = vma;
	else
		mm->mmap = vma;
	if (after)
		after->vm_prev = vma;
	mm->map_count++;
	mm->total_vm += (end - start) >> PAGE_SHIFT;
	return 0;
}

#define PMD_SIZE (1UL << 21)

/*
 * The next entry with a page in [*addr, end), or NULL; *addr becomes its address. Where there is no table nothing is
 * looked at entry by entry.
 */
static unsigned long *next_present(struct mm_struct *mm, unsigned long *addr, unsigned long end)
{
	while (*addr < end) {
		unsigned long *pte = pte_of(mm->pgd, *addr, false), stop = min((*addr | (PMD_SIZE - 1)) + 1, end);

		for (; pte && *addr < stop; *addr += PAGE_SIZE, pte++)
			if (*pte & _PAGE_PRESENT)
				return pte;
		*addr = stop;
	}
	return NULL;
}

static void zap_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	for (unsigned long *pte; (pte = next_present(mm, &start, end)); start += PAGE_SIZE) {
		free_page((unsigned long)__va(*pte & PTE_PFN_MASK));
		*pte = 0;
		mm->rss_stat.count[MM_ANONPAGES].counter--;
		invlpg(start);
	}
}

int vm_unmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	for (struct vm_area_struct *vma = mm->mmap, *next; vma; vma = next) {
		next = vma->vm_next;
		if (vma->vm_start < start || vma->vm_end > end)
			continue;
		zap_range(mm, vma->vm_start, vma->vm_end);
		if (vma->vm_prev)
			vma->vm_prev->vm_next = next;
		else
			mm->mmap = next;
		if (next)
			next->vm_prev = vma->vm_prev;
		mm->map_count--;
		mm->total_vm -= (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
		if (vma->vm_file)
			fput(vma->vm_file);
		kfree(vma);
	}
	return 0;
}

/* Tables of the lowest level have lost their pages by now. */
static void free_tables(unsigned long *table, int level)
{
	for (int i = 0; level > 1 && i < (level == 4 ? 256 : 512); i += 4) {
		unsigned long *four = &table[i];

		if (!(four[0] | four[1] | four[2] | four[3])) /* most are empty */
			continue;
		for (int k = 0; k < 4; k++)
			if (four[k] & _PAGE_PRESENT)
				free_tables(__va(four[k] & PTE_PFN_MASK), level - 1);
	}
	free_page((unsigned long)table);
}

void mmput(struct mm_struct *mm)
{
	if (--mm->mm_users.counter)
		return;
	vm_unmap(mm, 0, TASK_SIZE);
	if (mm->exe_file)
		fput(mm->exe_file);
	free_tables((unsigned long *)mm->pgd, 4);
	kfree(mm);
}

/* The page behind addr, made and zeroed if it is not there. */
static void *fault_in(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long *pte = pte_of(mm->pgd, addr, true), page;

	if (!pte)
		return NULL;
	if (*pte & _PAGE_PRESENT)
		return __va(*pte & PTE_PFN_MASK);
	page = get_zeroed_page(GFP_KERNEL);
	if (!page)
		return NULL;
	virt_to_page(page)->mapping = (struct address_space *)1; /* anonymous: bit 0, for dump filters */
	*pte = __pa(page) | _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY | (vma->vm_flags & VM_WRITE ? _PAGE_RW : 0) |
	       (vma->vm_flags & VM_EXEC ? 0 : _PAGE_NX);
	mm->rss_stat.count[MM_ANONPAGES].counter++;
	return (void *)page;
}

int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned long error_code)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	if (!vma || error_code & 1)
		return -EFAULT;
	if (error_code & 2 ? !(vma->vm_flags & VM_WRITE) : error_code & 16 ? !(vma->vm_flags & VM_EXEC) : !(vma->vm_flags & VM_READ))
		return -EFAULT;
	return fault_in(mm, vma, addr) ? 0 : -ENOMEM;
}

int access_remote_vm(struct mm_struct *mm, unsigned long addr, const void *from, size_t n)
{
	while (n) {
		struct vm_area_struct *vma = find_vma(mm, addr);
		char *page = vma ? fault_in(mm, vma, addr) : NULL;
		size_t part = min(n, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));

		if (!page)
			return vma ? -ENOMEM : -EFAULT;
		memcpy(page + (addr & (PAGE_SIZE - 1)), from, part);
		from = (const char *)from + part;
		addr += part;
		n -= part;
	}
	return 0;
}

/* A page of the parent for the child: the same one where neither can write to it. */
static int copy_page(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long addr, unsigned long pte)
{
	void *page = __va(pte & PTE_PFN_MASK), *copy;

	if (!(vma->vm_flags & VM_WRITE)) {
		unsigned long *shared = pte_of(mm->pgd, addr, true);

		if (!shared)
			return -ENOMEM;
		get_page(virt_to_page(page));
		*shared = pte;
		mm->rss_stat.count[MM_ANONPAGES].counter++;
		return 0;
	}
	copy = fault_in(mm, vma, addr);
	if (!copy)
		return -ENOMEM;
	__memcpy(copy, page, PAGE_SIZE);
	return 0;
}

struct mm_struct *dup_mm(struct mm_struct *old)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return NULL;
	mm->start_code = old->start_code;
	mm->end_code = old->end_code;
	mm->start_data = old->start_data;
	mm->end_data = old->end_data;
	mm->start_brk = old->start_brk;
	mm->brk = old->brk;
	mm->start_stack = old->start_stack;
	mm->arg_start = old->arg_start;
	mm->arg_end = old->arg_end;
	mm->env_start = old->env_start;
	mm->env_end = old->env_end;
	mm->mmap_base = old->mmap_base;
	mm->exe_file = old->exe_file;
	if (mm->exe_file)
		mm->exe_file->f_count.counter++;
	for (struct vm_area_struct *vma = old->mmap; vma; vma = vma->vm_next) {
		struct vm_area_struct *copy;
		unsigned long a;

		if (vm_map(mm, vma->vm_start, vma->vm_end, vma->vm_flags, vma->vm_file, vma->vm_pgoff))
			goto fail;
		copy = find_vma(mm, vma->vm_start);
		a = vma->vm_start;
		for (unsigned long *pte; (pte = next_present(old, &a, vma->vm_end)); a += PAGE_SIZE)
			if (copy_page(mm, copy, a, *pte))
				goto fail;
	}
	return mm;
fail:
	mmput(mm);
	return NULL;
}

static bool access_ok(const void *p, size_t n)
{
	return (unsigned long)p < TASK_SIZE && n <= TASK_SIZE - (unsigned long)p;
}

noinline unsigned long _copy_from_user(void *to, const void *from, size_t n)
{
	unsigned long left;

	if (!access_ok(from, n))
		return n;
	kasan_check_write(to, n);
	stac();
	left = __copy_user(to, from, n);
	clac();
	return left;
}

noinline unsigned long _copy_to_user(void *to, const void *from, size_t n)
{
	unsigned long left;

	if (!access_ok(to, n))
		return n;
	kasan_check_read(from, n);
	stac();
	left = __copy_user(to, from, n);
	clac();
	return left;
}

long copy_from_kernel_nofault(void *to, const void *from, size_t n)
{
	if ((unsigned long)from < TASK_SIZE + PAGE_SIZE || (unsigned long)from + n < (unsigned long)from)
		return -EFAULT;
	return __copy_user(to, from, n) ? -EFAULT : 0;
}

void print_vma_addr(const char *prefix, unsigned long ip)
{
	struct vm_area_struct *vma = current->mm ? current->mm->mmap : NULL;

	/* As in Linux the first area that ends behind it, which need not begin before it. */
	while (vma && ip >= vma->vm_end)
		vma = vma->vm_next;
	if (vma && vma->vm_file)
		pr_cont("%s%s[%lx+%lx]", prefix, vma->vm_file->f_path.dentry->d_name.name, vma->vm_start, vma->vm_end - vma->vm_start);
}

/* A line of the program's memory at a time: it may end behind the string, where the next page begins. */
long strncpy_from_user(char *to, const char *from, long n)
{
	for (long done = 0, part; done < n; done += part) {
		part = min(n - done, 64 - (long)((unsigned long)(from + done) & 63));
		if (_copy_from_user(to + done, from + done, part))
			return -EFAULT;
		for (long i = done; i < done + part; i++)
			if (!to[i])
				return i;
	}
	return -ENAMETOOLONG;
}
EXPORT_SYMBOL(_copy_from_user);
EXPORT_SYMBOL(_copy_to_user);
