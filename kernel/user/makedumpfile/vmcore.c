/* Reading /proc/vmcore: ELF program headers, VMCOREINFO, and the old kernel's page tables. */
#include "makedumpfile.h"

#define PRESENT 1
#define LARGE 0x80
#define FRAME 0x000ffffffffff000UL

static int read_at(int fd, u64 at, void *to, size_t n)
{
	if (syscall(SYS_lseek, fd, at, 0) < 0)
		return -1;
	for (size_t done = 0; done < n;) {
		ssize_t part = read(fd, (char *)to + done, n - done);

		if (part <= 0)
			return -1;
		done += part;
	}
	return 0;
}

static const char *find(const struct vmcore *v, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = v->info; line && *line;) {
		const char *end = strchr(line, '\n');

		if (!strncmp(line, key, n) && line[n] == '=')
			return line + n + 1;
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

bool info_number(const struct vmcore *v, const char *key, int base, u64 *value)
{
	const char *text = find(v, key);
	bool negative = text && *text == '-';

	if (!text)
		return false;
	*value = 0;
	for (text += negative; *text && *text != '\n'; text++) {
		int digit = *text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10;

		*value = *value * base + digit;
	}
	if (negative)
		*value = -*value;
	return true;
}

bool info_string(const struct vmcore *v, const char *key, char *to, size_t size)
{
	const char *text = find(v, key);
	size_t n = 0;

	if (!text)
		return false;
	for (; *text && *text != '\n' && n + 1 < size; text++)
		to[n++] = *text;
	to[n] = 0;
	return true;
}

static int find_info(struct vmcore *v)
{
	for (size_t at = 0; at + 12 <= v->notes_size;) {
		const u32 *note = (const void *)(v->notes + at);
		size_t name = (note[0] + 3UL) & ~3UL, desc = (note[1] + 3UL) & ~3UL;

		if (name + desc > v->notes_size - at - 12)
			break;
		if (note[0] == 11 && !strncmp((const char *)(note + 3), "VMCOREINFO", 11)) {
			v->info_at = at + 12 + name;
			v->info_size = note[1];
			v->info = malloc(note[1] + 1);
			if (!v->info)
				return -1;
			memcpy(v->info, v->notes + v->info_at, note[1]);
			v->info[note[1]] = 0;
			return 0;
		}
		at += 12 + name + desc;
	}
	return -1;
}

int vmcore_open(struct vmcore *v, const char *path)
{
	u64 table, phys_base = 0;
	size_t size;

	v->fd = open(path, O_RDONLY);
	if (v->fd < 0)
		return v->fd;
	if (read_at(v->fd, 0, &v->hdr, sizeof(v->hdr)) || strncmp((const char *)v->hdr.e_ident, "\177ELF", 4) || v->hdr.e_phentsize != sizeof(*v->phdr))
		return -22;
	size = v->hdr.e_phnum * sizeof(*v->phdr);
	v->phdr = malloc(size);
	if (!v->phdr || read_at(v->fd, v->hdr.e_phoff, v->phdr, size))
		return -5;
	for (int i = 0; i < v->hdr.e_phnum; i++) {
		const struct elf64_phdr *p = &v->phdr[i];
		u64 end = (p->p_paddr + p->p_memsz + PAGE - 1) / PAGE;

		if (p->p_type == PT_NOTE && !v->notes) {
			v->notes = malloc(p->p_filesz + 1);
			v->notes_size = p->p_filesz;
			if (!v->notes || read_at(v->fd, p->p_offset, v->notes, p->p_filesz))
				return -5;
		}
		if (p->p_type == PT_LOAD && end > v->max_mapnr)
			v->max_mapnr = end;
	}
	if (find_info(v))
		return -22;
	info_number(v, "NUMBER(phys_base)", 10, &phys_base);
	if (info_number(v, "SYMBOL(swapper_pg_dir)", 16, &table))
		v->pgd = table - 0xffffffff80000000UL + phys_base;
	return 0;
}

bool is_dumped(const struct vmcore *v, u64 pfn)
{
	for (int i = 0; i < v->hdr.e_phnum; i++) {
		const struct elf64_phdr *p = &v->phdr[i];

		if (p->p_type == PT_LOAD && pfn * PAGE >= p->p_paddr && pfn * PAGE < p->p_paddr + p->p_memsz)
			return true;
	}
	return false;
}

int read_physical(struct vmcore *v, u64 address, void *to, size_t n)
{
	for (int i = 0; i < v->hdr.e_phnum; i++) {
		const struct elf64_phdr *p = &v->phdr[i];

		if (p->p_type == PT_LOAD && address >= p->p_paddr && address - p->p_paddr < p->p_filesz && n <= p->p_filesz - (address - p->p_paddr))
			return read_at(v->fd, p->p_offset + address - p->p_paddr, to, n);
	}
	return -1;
}

int read_virtual(struct vmcore *v, u64 address, void *to, size_t n)
{
	while (n) {
		u64 entry = v->pgd, size = PAGE, part;

		for (int shift = 39; shift >= 12; shift -= 9) {
			if (read_physical(v, (entry & FRAME) + (address >> shift & 511) * 8, &entry, 8) || !(entry & PRESENT))
				return -1;
			if (entry & LARGE && shift < 39 && shift > 12) {
				size = 1UL << shift;
				break;
			}
		}
		part = size - (address & (size - 1));
		if (part > n)
			part = n;
		if (read_physical(v, (entry & FRAME & ~(size - 1)) + (address & (size - 1)), to, part))
			return -1;
		to = (char *)to + part;
		address += part;
		n -= part;
	}
	return 0;
}
