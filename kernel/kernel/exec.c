/* Starting a program: a static ELF file becomes a fresh address space. Mirrors Linux fs/exec.c and fs/binfmt_elf.c. */
#include <asm/processor.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/syscalls.h>

#define STACK_TOP 0x7ffffffff000
#define STACK_SIZE (64UL << 12)
#define MAX_ARGS 64

static int load_segment(struct mm_struct *mm, struct file *file, const struct elf64_phdr *p)
{
	unsigned long flags = (p->p_flags & 4 ? VM_READ : 0) | (p->p_flags & 2 ? VM_WRITE : 0) | (p->p_flags & 1 ? VM_EXEC : 0);
	int err;

	if (p->p_filesz > p->p_memsz || p->p_vaddr + p->p_memsz < p->p_vaddr || p->p_offset + p->p_filesz > (u64)file->f_inode->i_size)
		return -ENOEXEC;
	err = vm_map(mm, p->p_vaddr, p->p_vaddr + p->p_memsz, flags, file, p->p_offset >> PAGE_SHIFT);
	if (err)
		return err;
	return access_remote_vm(mm, p->p_vaddr, file->f_inode->i_data + p->p_offset, p->p_filesz);
}

/* Strings, then argc, argv, envp and an empty auxiliary vector, as the ABI wants them at the first instruction. */
static unsigned long set_up_stack(struct mm_struct *mm, const char *const *argv, const char *const *envp)
{
	unsigned long words[2 * MAX_ARGS + 8], sp = STACK_TOP - 16;
	int n = 0, argc = 0;

	for (int pass = 0; pass < 2; pass++) {
		const char *const *list = pass ? envp : argv;

		if (!pass)
			words[n++] = 0;
		for (int i = 0; list && list[i] && i < MAX_ARGS; i++) {
			size_t length = strlen(list[i]) + 1;

			sp -= length;
			if (access_remote_vm(mm, sp, list[i], length))
				return 0;
			words[n++] = sp;
			argc += !pass;
		}
		words[n++] = 0;
	}
	words[0] = argc;
	words[n++] = 0; /* AT_NULL */
	words[n++] = 0;
	mm->arg_end = mm->env_end = STACK_TOP - 16;
	mm->arg_start = mm->env_start = sp;
	sp = (sp - n * 8) & ~15UL;
	if (access_remote_vm(mm, sp, words, n * 8))
		return 0;
	mm->start_stack = sp;
	return sp;
}

int kernel_execve(const char *path, const char *const *argv, const char *const *envp, struct pt_regs *regs)
{
	struct file *file = filp_open(path, 0, 0);
	const struct elf64_hdr *hdr;
	const struct elf64_phdr *phdr;
	struct mm_struct *mm, *old = current->mm;
	unsigned long sp, flags;
	int err = -ENOEXEC;

	if (IS_ERR(file))
		return PTR_ERR(file);
	hdr = (const void *)file->f_inode->i_data;
	mm = mm_alloc();
	if (!mm) {
		fput(file);
		return -ENOMEM;
	}
	if (!S_ISREG(file->f_inode->i_mode) || file->f_inode->i_size < (loff_t)sizeof(*hdr) || memcmp(hdr->e_ident, "\177ELF\2\1", 6) ||
	    hdr->e_type != 2 || hdr->e_machine != 62 || hdr->e_phentsize != sizeof(*phdr) || hdr->e_phnum > 16 ||
	    hdr->e_phoff + hdr->e_phnum * sizeof(*phdr) > (u64)file->f_inode->i_size || hdr->e_phoff > (u64)file->f_inode->i_size)
		goto fail;
	phdr = (const void *)((const char *)hdr + hdr->e_phoff);
	for (int i = 0; i < hdr->e_phnum; i++) {
		if (phdr[i].p_type != 1 || !phdr[i].p_memsz)
			continue;
		err = load_segment(mm, file, &phdr[i]);
		if (err)
			goto fail;
		if (phdr[i].p_flags & 1) {
			mm->start_code = phdr[i].p_vaddr;
			mm->end_code = phdr[i].p_vaddr + phdr[i].p_filesz;
		} else {
			mm->start_data = phdr[i].p_vaddr;
			mm->end_data = phdr[i].p_vaddr + phdr[i].p_filesz;
		}
		mm->start_brk = mm->brk = max(mm->brk, ALIGN((unsigned long)(phdr[i].p_vaddr + phdr[i].p_memsz), (unsigned long)PAGE_SIZE));
	}
	err = vm_map(mm, STACK_TOP - STACK_SIZE, STACK_TOP, VM_READ | VM_WRITE | VM_GROWSDOWN, NULL, 0);
	if (err)
		goto fail;
	mm->stack_vm = STACK_SIZE >> PAGE_SHIFT;
	err = -ENOMEM;
	sp = set_up_stack(mm, argv, envp);
	if (!sp)
		goto fail;
	mm->exe_file = file;
	{
		const char *name = strrchr(path, '/');

		strscpy(current->comm, name ? name + 1 : path, sizeof(current->comm));
	}
	memset(regs, 0, sizeof(*regs));
	regs->ip = hdr->e_entry;
	regs->sp = sp;
	regs->cs = __USER_CS;
	regs->ss = __USER_DS;
	regs->flags = X86_EFLAGS_IF;
	regs->orig_ax = -1UL;
	raw_spin_lock_irqsave(&tasklist_lock, flags);
	current->mm = current->active_mm = mm;
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
	current->flags &= ~PF_KTHREAD;
	current->thread.fsbase = 0;
	wrmsrl(MSR_FS_BASE, 0);
	close_on_exec(current->files);
	for (int i = 0; i < 64; i++)
		if (current->sighand->action[i].sa.sa_handler != (void *)1)
			current->sighand->action[i].sa.sa_handler = NULL;
	write_cr3(__pa(mm->pgd));
	if (old)
		mmput(old);
	return 0;
fail:
	mmput(mm);
	fput(file);
	return err;
}

#define ARGS_SIZE (64UL << 10)

/* Copies a NULL-ended array of strings; pointers go to list, strings to *at. */
static int copy_strings(const char *const __user *user, const char **list, char **at, char *end)
{
	for (int i = 0;; i++) {
		const char *string = NULL;
		long n;

		if (user && copy_from_user(&string, user + i, sizeof(string)))
			return -EFAULT;
		list[i] = NULL;
		if (!string)
			return 0;
		if (i + 1 >= MAX_ARGS || *at >= end)
			return -E2BIG;
		n = strncpy_from_user(*at, string, end - *at);
		if (n < 0)
			return n == -ENAMETOOLONG ? -E2BIG : n;
		list[i] = *at;
		*at += n + 1;
	}
}

SYSCALL_DEFINE(execve)
{
	const char *argv[MAX_ARGS], *envp[MAX_ARGS];
	char *space = vmalloc(ARGS_SIZE), *at = space, *end = space + ARGS_SIZE, *path = space;
	long err;

	if (!space)
		return -ENOMEM;
	err = strncpy_from_user(at, (const char __user *)regs->di, 1024);
	if (err >= 0) {
		at += err + 1;
		err = copy_strings((const char *const __user *)regs->si, argv, &at, end);
	}
	if (!err)
		err = copy_strings((const char *const __user *)regs->dx, envp, &at, end);
	if (!err)
		err = kernel_execve(path, argv, envp, regs);
	vfree(space);
	return err;
}
