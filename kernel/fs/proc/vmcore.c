/*
 * /proc/vmcore of a crash kernel: the first kernel's memory as an ELF core file. Its headers lie where elfcorehdr=
 * says; the notes of all its PT_NOTEs are gathered into one, and each piece of memory gets a place in the file.
 * Mirrors Linux fs/proc/vmcore.c.
 *
 *   ELF header, one PT_NOTE, PT_LOADs | notes | ... each piece from a page boundary on ...
 */
#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/module.h>

#define OLDMEM_END (1UL << 30)	/* what the direct map reaches */
#define NONE (~0UL)

unsigned long elfcorehdr_addr = NONE;
static char *headers;		/* everything before the first piece */
static size_t headers_size;
static loff_t vmcore_size;

static int elfcorehdr_setup(char *value)
{
	elfcorehdr_addr = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("elfcorehdr=", elfcorehdr_setup);

/* Length of the notes at a physical address, at most `size`: they end with a note without a name. */
static size_t notes_length(unsigned long phys, size_t size)
{
	const char *p = __va(phys);
	size_t n = 0;

	if (phys >= OLDMEM_END || size > OLDMEM_END - phys)
		return 0;
	while (n + sizeof(struct elf64_note) <= size) {
		const struct elf64_note *note = (const void *)(p + n);
		size_t length = sizeof(*note) + ALIGN((size_t)note->n_namesz, (size_t)4) + ALIGN((size_t)note->n_descsz, (size_t)4);

		if (!note->n_namesz || length > size - n)
			break;
		n += length;
	}
	return n;
}

static int parse_crash_elf_headers(void)
{
	const struct elf64_hdr *old = __va(elfcorehdr_addr);
	const struct elf64_phdr *from = (const void *)(old + 1);
	struct elf64_hdr *hdr;
	struct elf64_phdr *to;
	size_t notes = 0, at;
	int loads = 0;

	if (elfcorehdr_addr >= OLDMEM_END - PAGE_SIZE || memcmp(old->e_ident, "\177ELF\2\1", 6) || old->e_type != ET_CORE || old->e_machine != 62 ||
	    old->e_phentsize != sizeof(*from) || !old->e_phnum || sizeof(*old) + old->e_phnum * sizeof(*from) > PAGE_SIZE)
		return -EINVAL;
	for (int i = 0; i < old->e_phnum; i++) {
		if (from[i].p_type == PT_NOTE)
			notes += notes_length(from[i].p_offset, from[i].p_memsz);
		loads += from[i].p_type == PT_LOAD;
	}
	at = sizeof(*hdr) + (1 + loads) * sizeof(*to);
	headers_size = ALIGN(at + notes, (size_t)PAGE_SIZE);
	headers = vmalloc(headers_size);
	if (!headers)
		return -ENOMEM;
	hdr = (void *)headers;
	*hdr = *old;
	hdr->e_phnum = 1 + loads;
	to = (void *)(hdr + 1);
	to[0] = (struct elf64_phdr){ .p_type = PT_NOTE, .p_offset = at, .p_filesz = notes, .p_memsz = notes };
	vmcore_size = headers_size;
	for (int i = 0, n = 1; i < old->e_phnum; i++) {
		if (from[i].p_type == PT_NOTE) {
			size_t length = notes_length(from[i].p_offset, from[i].p_memsz);

			memcpy(headers + at, __va(from[i].p_offset), length);
			at += length;
		} else if (from[i].p_type == PT_LOAD) {
			if (from[i].p_paddr & ~PAGE_MASK || from[i].p_paddr >= OLDMEM_END || from[i].p_memsz > OLDMEM_END - from[i].p_paddr)
				return -EINVAL;
			to[n] = from[i];
			to[n].p_offset = vmcore_size;
			vmcore_size += ALIGN((size_t)to[n].p_memsz, (size_t)PAGE_SIZE);
			n++;
		}
	}
	return 0;
}

/* The byte at `pos` of the file and how many follow it in memory. */
static const char *vmcore_at(loff_t pos, size_t *available)
{
	const struct elf64_hdr *hdr = (const void *)headers;
	const struct elf64_phdr *p = (const void *)(hdr + 1);

	if (pos < (loff_t)headers_size) {
		*available = headers_size - pos;
		return headers + pos;
	}
	for (int i = 1; i < hdr->e_phnum; i++) {
		size_t size = ALIGN((size_t)p[i].p_memsz, (size_t)PAGE_SIZE);
		size_t offset = pos - p[i].p_offset;

		if (pos >= (loff_t)p[i].p_offset && offset < size) {
			*available = size - offset;
			return (const char *)__va(p[i].p_paddr) + offset;
		}
	}
	return NULL;
}

static ssize_t read_vmcore(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	size_t done = 0, available;

	while (done < n && *pos < vmcore_size) {
		const char *from = vmcore_at(*pos, &available);

		if (!from)
			return -EIO;
		available = min(available, n - done);
		if (copy_to_user(buf + done, from, available))
			return -EFAULT;
		done += available;
		*pos += available;
	}
	return done;
}

static const struct file_operations vmcore_operations = { .read = read_vmcore };

static int vmcore_init(void)
{
	struct dentry *dentry;
	int err;

	if (elfcorehdr_addr == NONE)
		return 0;
	err = parse_crash_elf_headers();
	if (err) {
		pr_warn("Kdump: vmcore not initialized\n");
		return err;
	}
	dentry = kernel_create("/proc/vmcore", S_IFREG | 0400);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	dentry->d_inode->i_fop = &vmcore_operations;
	dentry->d_inode->i_size = vmcore_size;
	return 0;
}
device_initcall(vmcore_init);
