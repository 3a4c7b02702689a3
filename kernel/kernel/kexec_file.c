/*
 * kexec_file_load(): a vmlinux and an initramfs become segments: the kernel where it is linked or, for a crash,
 * wherever the reservation lies (it moves itself: head_64.S); boot_params with the command line; purgatory; and for
 * a crash the ELF headers that describe this kernel's memory. Mirrors Linux kernel/kexec_file.c and
 * arch/x86/kernel/{kexec-bzimage64,crash}.c.
 *
 *   base                                                                                  end of the memory
 *   kernel, its bss ... free ... | initramfs | boot_params, command line | purgatory | ELF headers |
 */
#include <asm/processor.h>
#include <crypto/sha256.h>
#include <linux/boot.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/syscalls.h>

extern unsigned int nr_cpu_ids;

#define LARGE_PAGE_SIZE (2UL << 20)
#define LINK_BASE 0x1000000UL
#define COMMAND_LINE_SIZE 2048
#define KERNEL_HEADROOM (4UL << 20)	/* what a kernel takes behind its bss before it knows its memory */

struct load {
	struct kexec_segment segment[KEXEC_SEGMENT_MAX];
	unsigned long n, start, end;	/* the physical memory that may be used, end moving down */
	struct purgatory_header *purgatory;
	unsigned long kernel_entry;
	void *buffers[4];
	int nr_buffers;
};

static struct kexec_segment *add_segment(struct load *l, const void *buf, size_t n, unsigned long mem, size_t memsz)
{
	l->segment[l->n] = (struct kexec_segment){ buf, n, mem, ALIGN(memsz, (size_t)PAGE_SIZE) };
	return &l->segment[l->n++];
}

/* A segment below those that are there already: its physical address, 0 when the memory is full. */
static unsigned long add_at_end(struct load *l, const void *buf, size_t n)
{
	size_t size = ALIGN(n, (size_t)PAGE_SIZE);

	if (l->end - l->start < size || l->n == KEXEC_SEGMENT_MAX)
		return 0;
	l->end -= size;
	add_segment(l, buf, n, l->end, size);
	return l->end;
}

static void *buffer(struct load *l, size_t n)
{
	void *p = vmalloc(n);

	if (p)
		memset(p, 0, n);
	return l->buffers[l->nr_buffers++] = p;
}

/* PT_LOAD segments of an x86-64 vmlinux, moved so that the kernel begins at a multiple of 2 MiB. */
static int load_kernel(struct load *l, const char *image, size_t size, bool crash)
{
	const struct elf64_hdr *hdr = (const void *)image;
	const struct elf64_phdr *phdr;
	unsigned long low = ~0UL, high = 0, move;

	if (size < sizeof(*hdr) || memcmp(hdr->e_ident, "\177ELF\2\1", 6) || hdr->e_type != 2 || hdr->e_machine != 62 ||
	    hdr->e_phentsize != sizeof(*phdr) || hdr->e_phnum > 8 || hdr->e_phoff > size || size - hdr->e_phoff < hdr->e_phnum * sizeof(*phdr))
		return -ENOEXEC;
	phdr = (const void *)(image + hdr->e_phoff);
	for (int i = 0; i < hdr->e_phnum; i++) {
		const struct elf64_phdr *p = &phdr[i];

		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || p->p_offset > size || size - p->p_offset < p->p_filesz || p->p_paddr & ~PAGE_MASK ||
		    p->p_paddr > 1UL << 30 || p->p_memsz > 1UL << 30)
			return -ENOEXEC;
		low = min(low, (unsigned long)p->p_paddr);
		high = max(high, (unsigned long)(p->p_paddr + p->p_memsz));
	}
	if (low >= high || low & (LARGE_PAGE_SIZE - 1) || hdr->e_entry < low || hdr->e_entry >= high)
		return -ENOEXEC;
	move = crash ? ALIGN(l->start, LARGE_PAGE_SIZE) - low : 0;
	for (int i = 0; i < hdr->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD)
			add_segment(l, image + phdr[i].p_offset, phdr[i].p_filesz, phdr[i].p_paddr + move, phdr[i].p_memsz);
	l->kernel_entry = hdr->e_entry + move;
	l->start = ALIGN(high + move, PAGE_SIZE) + KERNEL_HEADROOM;
	return l->start < l->end ? 0 : -EADDRNOTAVAIL;
}

static void add_phdr(struct elf64_hdr *hdr, u32 type, u64 paddr, u64 vaddr, u64 size)
{
	struct elf64_phdr *p = (struct elf64_phdr *)(hdr + 1) + hdr->e_phnum++;

	*p = (struct elf64_phdr){ type, type == PT_LOAD ? 7 : 0, paddr, vaddr, paddr, size, size, 0 };
}

/* What a crash kernel must know of this one: notes by address, the image, and all memory but the reservation. */
static unsigned long prepare_elf_headers(struct load *l)
{
	struct elf64_hdr *hdr = buffer(l, PAGE_SIZE);

	if (!hdr)
		return 0;
	*hdr = (struct elf64_hdr){ .e_ident = "\177ELF\2\1\1", .e_type = ET_CORE, .e_machine = 62, .e_version = 1,
				   .e_phoff = sizeof(*hdr), .e_ehsize = sizeof(*hdr), .e_phentsize = sizeof(struct elf64_phdr) };
	for (unsigned int cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (per_cpu(crash_notes, cpu))
			add_phdr(hdr, PT_NOTE, __pa(per_cpu(crash_notes, cpu)), 0, sizeof(note_buf_t));
	add_phdr(hdr, PT_NOTE, paddr_vmcoreinfo_note(), 0, VMCOREINFO_NOTE_SIZE);
	add_phdr(hdr, PT_LOAD, __pa(_text), (unsigned long)_text, _end - _text);
	for (int i = 0; i < e820_count; i++) {
		u64 start = e820_table[i].addr, end = min(start + e820_table[i].size, 1ULL << 30);

		if (e820_table[i].type != E820_RAM || start >= end)
			continue;
		if (crashk_res.start >= start && crashk_res.end < end) {
			if (crashk_res.start > start)
				add_phdr(hdr, PT_LOAD, start, (u64)__va(start), crashk_res.start - start);
			start = crashk_res.end + 1;
		}
		if (end > start)
			add_phdr(hdr, PT_LOAD, start, (u64)__va(start), end - start);
	}
	return add_at_end(l, hdr, PAGE_SIZE);
}

/* struct boot_params: where the initramfs, the command line and the memory are (Linux Documentation/arch/x86/zero-page.rst). */
static unsigned long prepare_boot_params(struct load *l, const char *cmdline, unsigned long initrd, size_t initrd_length, bool crash, unsigned long elf_headers)
{
	u8 *p = buffer(l, PAGE_SIZE + COMMAND_LINE_SIZE);
	unsigned long at = p ? add_at_end(l, p, PAGE_SIZE + COMMAND_LINE_SIZE) : 0;
	struct e820_entry *map = (void *)(p + 0x2d0);

	if (!at)
		return 0;
	*(u16 *)(p + 0x1fe) = 0xaa55;
	memcpy(p + 0x202, "HdrS", 4);
	p[0x210] = 0xd << 4; /* type_of_loader: kexec */
	*(u32 *)(p + 0x218) = initrd;
	*(u32 *)(p + 0x21c) = initrd_length;
	*(u32 *)(p + 0x228) = at + PAGE_SIZE;
	*(u32 *)(p + 0x230) = LARGE_PAGE_SIZE;
	*(u32 *)(p + 0x238) = strlen(cmdline) + 1;
	strscpy((char *)p + PAGE_SIZE, cmdline, COMMAND_LINE_SIZE);
	if (!crash) {
		memcpy(map, e820_table, e820_count * sizeof(*map));
		p[0x1e8] = e820_count;
		return at;
	}
	map[0] = (struct e820_entry){ crashk_res.start, elf_headers - crashk_res.start, E820_RAM };
	map[1] = (struct e820_entry){ elf_headers, PAGE_SIZE, E820_RAM + 1 };
	p[0x1e8] = 2;
	return at;
}

/* Everything that is loaded, purgatory itself apart, zeroes behind the segments included. */
static void digest_segments(struct load *l)
{
	static const u8 zeroes[256];
	struct sha256_state state;

	sha256_init(&state);
	for (unsigned long i = 0; i < l->n; i++) {
		const struct kexec_segment *s = &l->segment[i];

		if (s->buf == l->purgatory)
			continue;
		l->purgatory->regions[l->purgatory->nr_regions++] = (struct kexec_sha_region){ s->mem, s->memsz };
		sha256_update(&state, s->buf, s->bufsz);
		for (size_t left = s->memsz - s->bufsz, n; left; left -= n) {
			n = min(left, sizeof(zeroes));
			sha256_update(&state, zeroes, n);
		}
	}
	sha256_final(&state, l->purgatory->sha256_digest);
}

static int file_load(struct load *l, struct file *kernel, struct file *initrd, char *cmdline, bool crash)
{
	size_t n = kexec_purgatory_end - kexec_purgatory, initrd_length = initrd ? initrd->f_inode->i_size : 0;
	unsigned long elf_headers = 0, initrd_at = 0, boot_params, start;
	int err;

	if (crash && !crashk_reserved())
		return -EADDRNOTAVAIL;
	l->start = crash ? crashk_res.start : LINK_BASE;
	l->end = crash ? crashk_res.end + 1 : max_pfn << PAGE_SHIFT;
	err = load_kernel(l, kernel->f_inode->i_data, kernel->f_inode->i_size, crash);
	if (err)
		return err;
	if (crash) {
		size_t used = strlen(cmdline);

		elf_headers = prepare_elf_headers(l);
		if (!elf_headers)
			return -ENOMEM;
		if ((size_t)snprintf(cmdline + used, COMMAND_LINE_SIZE - used, "%selfcorehdr=0x%lx", used ? " " : "", elf_headers) >= COMMAND_LINE_SIZE - used)
			return -EINVAL;
	}
	l->purgatory = buffer(l, n);
	if (!l->purgatory)
		return -ENOMEM;
	memcpy(l->purgatory, kexec_purgatory, n);
	start = add_at_end(l, l->purgatory, n);
	if (initrd && !(initrd_at = add_at_end(l, initrd->f_inode->i_data, initrd_length)))
		return -EADDRNOTAVAIL;
	boot_params = prepare_boot_params(l, cmdline, initrd_at, initrd_length, crash, elf_headers);
	if (!start || !boot_params)
		return -EADDRNOTAVAIL;
	l->purgatory->kernel_entry = l->kernel_entry;
	l->purgatory->boot_params = boot_params;
	digest_segments(l);
	l->kernel_entry = start;
	return 0;
}

static struct file *regular(int fd)
{
	struct file *file = fget(fd);

	if (!file || !file->f_inode)
		return ERR_PTR(-EBADF);
	return S_ISREG(file->f_inode->i_mode) && file->f_inode->i_fop == &ramfs_file_operations ? file : ERR_PTR(-EINVAL);
}

/* kexec_file_load(kernel_fd, initrd_fd, cmdline_len, cmdline, flags) */
SYSCALL_DEFINE(kexec_file_load)
{
	unsigned long flags = regs->r8, length = regs->dx;
	bool crash = flags & KEXEC_FILE_ON_CRASH;
	struct kimage **slot = crash ? &kexec_crash_image : &kexec_image, *image;
	struct file *kernel, *initrd = NULL;
	struct load *l;
	char *cmdline;
	int err;

	if (flags & ~(KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH | KEXEC_FILE_NO_INITRAMFS))
		return -EINVAL;
	if (flags & KEXEC_FILE_UNLOAD)
		return kexec_install(slot, NULL, false);
	kernel = regular(regs->di);
	if (IS_ERR(kernel))
		return PTR_ERR(kernel);
	if (!(flags & KEXEC_FILE_NO_INITRAMFS)) {
		initrd = regular(regs->si);
		if (IS_ERR(initrd))
			return PTR_ERR(initrd);
	}
	if (length > COMMAND_LINE_SIZE)
		return -EINVAL;
	l = kzalloc(sizeof(*l), GFP_KERNEL);
	cmdline = kzalloc(COMMAND_LINE_SIZE, GFP_KERNEL);
	err = !l || !cmdline ? -ENOMEM : length && copy_from_user(cmdline, (void __user *)regs->r10, length) ? -EFAULT :
	      length && cmdline[length - 1] ? -EINVAL : file_load(l, kernel, initrd, cmdline, crash);
	if (!err) {
		image = kimage_create(l->kernel_entry, crash ? KEXEC_TYPE_CRASH : KEXEC_TYPE_DEFAULT, l->segment, l->n);
		err = IS_ERR(image) ? PTR_ERR(image) : kexec_install(slot, image, false);
	}
	for (int i = 0; l && i < l->nr_buffers; i++)
		vfree(l->buffers[i]);
	kfree(cmdline);
	kfree(l);
	return err;
}
