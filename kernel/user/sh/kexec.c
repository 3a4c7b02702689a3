/*
 * kexec(8): another kernel for a crash (-p), for the next start (-l), now (-e), none (-u). The kernel does the work
 * (kexec_file_load); with -c this program prepares the segments itself and gives them to kexec_load.
 */
#include <elf.h>
#include "sh.h"

#define KEXEC_FILE_UNLOAD 1
#define KEXEC_FILE_ON_CRASH 2
#define KEXEC_FILE_NO_INITRAMFS 4
#define KEXEC_ARCH_X86_64 (62UL << 16)
#define MAX_SEGMENTS 16
#define PARAMS_AT 0x90000UL	/* boot_params, command line and the way in: low memory, which kernels leave alone */
#define INITRD_AT 0x4000000UL

struct kexec_segment { const void *buf; size_t bufsz; u64 mem; size_t memsz; };
struct file { char *bytes; size_t size; };
struct e820_entry { u64 addr, size; u32 type; } __attribute__((packed));

static long read_all(const char *path, struct file *f)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	long n;

	if (fd < 0)
		return fd;
	n = syscall(SYS_fstat, fd, &st, 0);
	f->size = st.st_size;
	f->bytes = n < 0 ? NULL : malloc(f->size + 1);
	for (size_t done = 0; f->bytes && done < f->size; done += n) {
		n = read(fd, f->bytes + done, f->size - done);
		if (n <= 0)
			break;
	}
	close(fd);
	return !f->bytes ? -12 : n < 0 ? n : 0;
}

static size_t whole_pages(size_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

/* Memory as /proc/iomem has it. */
static int read_memory_map(struct e820_entry *map, int room)
{
	struct reader r = { .fd = open("/proc/iomem", O_RDONLY) };
	char line[128];
	int n = 0;

	while (r.fd >= 0 && n < room && read_line(&r, line, sizeof(line)) >= 0) {
		char *dash, *colon;
		u64 start = strtol(line, &dash, 16), end;

		if (*line == ' ' || *dash != '-')
			continue;
		end = strtol(dash + 1, &colon, 16);
		map[n++] = (struct e820_entry){ start, end - start + 1, strstr(colon, "System RAM") ? 1 : 2 };
	}
	if (r.fd >= 0)
		close(r.fd);
	return n;
}

/* boot_params, the command line, and at the end `mov rsi, params; mov rax, entry; jmp rax`. */
static void fill_params(u8 *page, u64 entry, size_t initrd_size, const char *append)
{
	static const u8 stub[] = { 0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0 };
	u64 params = PARAMS_AT;

	memcpy(page + 0x202, "HdrS", 4);
	*(u16 *)(page + 0x1fe) = 0xaa55;
	*(u32 *)(page + 0x218) = initrd_size ? INITRD_AT : 0;
	*(u32 *)(page + 0x21c) = initrd_size;
	*(u32 *)(page + 0x228) = PARAMS_AT + PAGE;
	page[0x1e8] = read_memory_map((struct e820_entry *)(page + 0x2d0), 16);
	snprintf((char *)page + PAGE, 2048, "%s", append);
	memcpy(page + PAGE + 2048, stub, sizeof(stub));
	memcpy(page + PAGE + 2050, &params, 8);
	memcpy(page + PAGE + 2060, &entry, 8);
}

static long load_by_segments(const char *image, const char *initrd, const char *append)
{
	struct kexec_segment segments[MAX_SEGMENTS];
	struct file kernel, ramfs = { NULL, 0 };
	const struct elf64_hdr *hdr;
	const struct elf64_phdr *p;
	u8 *params = malloc(2 * PAGE);
	int n = 0;
	long err = read_all(image, &kernel);

	if (!err && initrd)
		err = read_all(initrd, &ramfs);
	if (err || !params)
		return err ? err : -12;
	hdr = (const void *)kernel.bytes;
	if (kernel.size < sizeof(*hdr) || strncmp(kernel.bytes, "\177ELF", 4) || hdr->e_phoff + hdr->e_phnum * sizeof(*p) > kernel.size)
		return -8;
	p = (const void *)(kernel.bytes + hdr->e_phoff);
	for (int i = 0; i < hdr->e_phnum && n < MAX_SEGMENTS - 2; i++)
		if (p[i].p_type == 1 && p[i].p_offset + p[i].p_filesz <= kernel.size)
			segments[n++] = (struct kexec_segment){ kernel.bytes + p[i].p_offset, p[i].p_filesz, p[i].p_paddr, whole_pages(p[i].p_memsz) };
	memset(params, 0, 2 * PAGE);
	fill_params(params, hdr->e_entry, ramfs.size, append);
	segments[n++] = (struct kexec_segment){ params, 2 * PAGE, PARAMS_AT, 2 * PAGE };
	if (ramfs.size)
		segments[n++] = (struct kexec_segment){ ramfs.bytes, ramfs.size, INITRD_AT, whole_pages(ramfs.size) };
	return syscall6(SYS_kexec_load, PARAMS_AT + PAGE + 2048, n, (long)segments, KEXEC_ARCH_X86_64, 0);
}

static long load_by_file(const char *image, const char *initrd, const char *append, bool crash, bool unload)
{
	int image_fd = -1, initrd_fd = -1;

	if (image && (image_fd = open(image, O_RDONLY)) < 0) {
		dprintf(2, "kexec: %s: %s\n", image, strerror(image_fd));
		return 1;
	}
	if (initrd && (initrd_fd = open(initrd, O_RDONLY)) < 0) {
		dprintf(2, "kexec: %s: %s\n", initrd, strerror(initrd_fd));
		return 1;
	}
	return syscall6(SYS_kexec_file_load, image_fd, initrd_fd, strlen(append) + 1, (long)append,
			(crash ? KEXEC_FILE_ON_CRASH : 0) | (unload ? KEXEC_FILE_UNLOAD : 0) | (initrd ? 0 : KEXEC_FILE_NO_INITRAMFS));
}

int do_kexec(int argc, char **argv)
{
	const char *image = NULL, *initrd = NULL, *append = "";
	bool crash = false, unload = false, run = false, segments = false;
	long err;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-p"))
			crash = true;
		else if (!strcmp(argv[i], "-u"))
			unload = true;
		else if (!strcmp(argv[i], "-e"))
			run = true;
		else if (!strcmp(argv[i], "-c"))
			segments = true;
		else if (!strncmp(argv[i], "--initrd=", 9))
			initrd = argv[i] + 9;
		else if (!strncmp(argv[i], "--append=", 9) || !strncmp(argv[i], "--command-line=", 15))
			append = strchr(argv[i], '=') + 1;
		else if (argv[i][0] != '-')
			image = argv[i];
		else if (strcmp(argv[i], "-l") && strcmp(argv[i], "-s")) {
			dprintf(2, "usage: kexec -p|-l [-c] IMAGE [--initrd=FILE] [--append=WORDS]; kexec -e; kexec -u [-p]\n");
			return 2;
		}
	}
	if (run) {
		err = syscall6(SYS_reboot, 0xfee1dead, 0x28121969, 0x45584543, 0, 0);
		dprintf(2, "kexec: nothing has been loaded: %s\n", strerror(err));
		return 1;
	}
	if (!image && !unload) {
		dprintf(2, "kexec: no image given\n");
		return 2;
	}
	if (segments && (crash || unload)) {
		dprintf(2, "kexec: -c loads only what -e starts\n");
		return 2;
	}
	err = segments ? load_by_segments(image, initrd, append) : load_by_file(image, initrd, append, crash, unload);
	if (err < 0)
		dprintf(2, "kexec: %s: %s\n", segments ? "kexec_load" : "kexec_file_load", strerror(err));
	return err != 0;
}
