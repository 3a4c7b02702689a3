/*
 * crashkernel load VMLINUX INITRD CMDLINE: loads a kernel for a crash with kexec_load, without purgatory and without
 * unpacking anything: the segments of the vmlinux moved into the reservation, boot_params and a stub that jumps.
 * crashkernel dump FILE: writes the file to the debug console, port E9h.
 *
 * The reservation:  +0 kernel (2 MiB aligned)  +64M boot_params, command line and stub  +66M initrd  ... ELF headers in
 * the last page, which the second kernel's memory map leaves out (Linux Documentation/admin-guide/kdump/kdump.rst).
 */
#include "libc.h"

#define SYS_mmap 9
#define SYS_iopl 172
#define PROT_READ 1
#define MAP_PRIVATE 2
#define PAGE 4096ul
#define KEXEC_ON_CRASH 1
#define ARCH_X86_64 (62ul << 16)
#define KERNEL_LINKED_AT 0x1000000ul
#define DIRECT_MAP 0xffff888000000000ul
#define KERNEL_MAP 0xffffffff80000000ul
#define PARAMS_AT (64ul << 20)
#define INITRD_AT (66ul << 20)
#define COMMAND_LINE_AT 0x400

struct kexec_segment { const void *buf; size_t bufsz; u64 mem; size_t memsz; };
struct elf_header { u8 ident[16]; u16 type, machine; u32 version; u64 entry, phoff, shoff; u32 flags; u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx; };
struct elf_segment { u32 type, flags; u64 offset, vaddr, paddr, filesz, memsz, align; };
struct e820_entry { u64 start, size; u32 type; } __attribute__((packed));
struct range { u64 start, end; };

static struct range reserved, ram[8];
static int ram_ranges;
static u8 params[2 * PAGE] __attribute__((aligned(4096)));
static u8 headers[PAGE] __attribute__((aligned(4096)));

static void fail(const char *what, long err)
{
	dprintf(2, "crashkernel: %s: %s\n", what, strerror(err));
	exit(1);
}

static const void *map_file(const char *path, size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	long at;

	if (fd < 0 || stat(path, &st) < 0)
		fail(path, fd);
	*size = st.st_size;
	register long r9 __asm__("r9") = 0; /* offset */
	__asm__ volatile("" : "+r"(r9));
	at = syscall6(SYS_mmap, 0, st.st_size, PROT_READ, MAP_PRIVATE, fd);
	__asm__ volatile("" : : "r"(r9));
	if (at < 0 && at > -4096)
		fail(path, at);
	return (const void *)at;
}

/* "  17000000-1effffff : Crash kernel" */
static void read_iomem(void)
{
	static struct reader reader;
	char line[256], *end;

	reader.fd = open("/proc/iomem", O_RDONLY);
	while (read_line(&reader, line, sizeof(line)) >= 0) {
		struct range range;

		range.start = strtol(line, &end, 16);
		range.end = strtol(end + 1, &end, 16) + 1;
		if (strstr(end, "Crash kernel"))
			reserved = range;
		else if (strstr(end, "System RAM") && ram_ranges < 8)
			ram[ram_ranges++] = range;
	}
	if (!reserved.end)
		fail("no reservation; boot with crashkernel=", -22);
}

static long read_numbers(const char *path, long *second)
{
	char text[64] = "", *end;
	int fd = open(path, O_RDONLY);
	long first;

	if (fd < 0)
		fail(path, fd);
	read(fd, text, sizeof(text) - 1);
	close(fd);
	first = strtol(text, &end, 16);
	if (second)
		*second = strtol(*end ? end + 1 : end, &end, 16);
	return first;
}

static void add_segment(struct elf_header *elf, u32 type, u64 vaddr, u64 paddr, u64 size)
{
	struct elf_segment *segment = (struct elf_segment *)(elf + 1) + elf->phnum++;

	segment->type = type;
	segment->flags = type == 1 ? 7 : 0;
	segment->offset = segment->paddr = paddr;
	segment->vaddr = vaddr;
	segment->filesz = segment->memsz = size;
}

/* What the second kernel is told of the first: notes of each CPU, vmcoreinfo, memory. */
static void core_headers(u64 kernel_size)
{
	struct elf_header *elf = (struct elf_header *)headers;
	char path[64];
	long size;

	memcpy(elf->ident, "\177ELF\2\1\1", 7);
	elf->type = 4;
	elf->machine = 62;
	elf->version = 1;
	elf->phoff = elf->ehsize = sizeof(*elf);
	elf->phentsize = sizeof(struct elf_segment);
	for (int cpu = 0;; cpu++) {
		struct stat st;
		long notes;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/crash_notes", cpu);
		if (stat(path, &st) < 0)
			break;
		notes = read_numbers(path, NULL);
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/crash_notes_size", cpu);
		int fd = open(path, O_RDONLY);
		char text[32] = "";
		read(fd, text, sizeof(text) - 1);
		close(fd);
		add_segment(elf, 4, 0, notes, strtol(text, NULL, 10));
	}
	long info = read_numbers("/sys/kernel/vmcoreinfo", &size);
	add_segment(elf, 4, 0, info, size);
	add_segment(elf, 1, KERNEL_MAP + KERNEL_LINKED_AT, KERNEL_LINKED_AT, kernel_size);
	for (int i = 0; i < ram_ranges; i++) {
		struct range low = ram[i], high = ram[i];

		if (low.start < reserved.start && reserved.start < low.end) {
			low.end = reserved.start;
			high.start = reserved.end;
			if (high.start < high.end)
				add_segment(elf, 1, DIRECT_MAP + high.start, high.start, high.end - high.start);
		}
		add_segment(elf, 1, DIRECT_MAP + low.start, low.start, low.end - low.start);
	}
}

static void boot_params(u64 base, u64 initrd_size, u64 headers_at, const char *words)
{
	char *command_line = (char *)params + PAGE + COMMAND_LINE_AT;
	u64 at = base + PARAMS_AT;
	u8 *stub = params + PAGE;
	struct e820_entry map[] = {
		{ 0x1000, 0x9e000, 1 },
		{ reserved.start, headers_at - reserved.start, 1 },
	};

	snprintf(command_line, 2048, "%s elfcorehdr=0x%lx nr_cpus=1 reset_devices", words, headers_at);
	params[0x1e8] = ARRAY_SIZE(map);
	*(u16 *)(params + 0x1fe) = 0xaa55;
	memcpy(params + 0x202, "HdrS", 4);
	params[0x210] = 0xff;
	*(u32 *)(params + 0x218) = base + INITRD_AT;
	*(u32 *)(params + 0x21c) = initrd_size;
	*(u32 *)(params + 0x228) = at + PAGE + COMMAND_LINE_AT;
	*(u32 *)(params + 0x230) = 0x1000000;
	*(u32 *)(params + 0x238) = strlen(command_line) + 1;
	memcpy(params + 0x2d0, map, sizeof(map));
	/* movabs $boot_params, %rsi; movabs $base, %rax; jmp *%rax */
	memcpy(stub, "\x48\xbe", 2);
	*(u64 *)(stub + 2) = at;
	memcpy(stub + 10, "\x48\xb8", 2);
	*(u64 *)(stub + 12) = base;
	memcpy(stub + 20, "\xff\xe0", 2);
}

static int load(char **argv)
{
	struct kexec_segment segments[8];
	size_t kernel_size, initrd_size;
	const struct elf_header *elf = map_file(argv[0], &kernel_size);
	const void *initrd = map_file(argv[1], &initrd_size);
	const struct elf_segment *segment = (const void *)((const u8 *)elf + elf->phoff);
	u64 base, end = 0, headers_at;
	long err;
	int n = 0;

	read_iomem();
	base = (reserved.start + 0x1fffff) & ~0x1ffffful;
	headers_at = reserved.end - PAGE;
	for (int i = 0; i < elf->phnum && n < 5; i++, segment++) {
		if (segment->type != 1)
			continue;
		segments[n].buf = (const u8 *)elf + segment->offset;
		segments[n].bufsz = segment->filesz;
		segments[n].mem = base + segment->paddr - KERNEL_LINKED_AT;
		segments[n++].memsz = (segment->memsz + PAGE - 1) & -PAGE;
		if (segment->paddr + segment->memsz > end)
			end = segment->paddr + segment->memsz;
	}
	core_headers(end - KERNEL_LINKED_AT);
	boot_params(base, initrd_size, headers_at, argv[2]);
	segments[n++] = (struct kexec_segment){ params, sizeof(params), base + PARAMS_AT, sizeof(params) };
	segments[n++] = (struct kexec_segment){ initrd, initrd_size, base + INITRD_AT, (initrd_size + PAGE - 1) & -PAGE };
	segments[n++] = (struct kexec_segment){ headers, PAGE, headers_at, PAGE };
	err = syscall6(SYS_kexec_load, base + PARAMS_AT + PAGE, n, (long)segments, KEXEC_ON_CRASH | ARCH_X86_64, 0);
	if (err)
		fail("kexec_load", err);
	return 0;
}

static int dump(const char *path)
{
	static u8 buffer[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0 || syscall(SYS_iopl, 3, 0, 0) < 0)
		fail(path, fd);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		const u8 *at = buffer;

		__asm__ volatile("rep outsb" : "+S"(at), "+c"(got) : "d"(0xe9) : "memory");
	}
	if (got < 0)
		fail(path, got);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "load"))
		return load(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "dump"))
		return dump(argv[2]);
	dprintf(2, "usage: crashkernel load VMLINUX INITRD CMDLINE | dump FILE\n");
	return 2;
}
