/* The command line, as makedumpfile(8) has it where the two do the same. */
#include "makedumpfile.h"

#define MAX_SPLIT 16

static int usage(void)
{
	dprintf(2, "usage: makedumpfile [-c | -z | -E] [-d LEVEL] [-F] VMCORE DUMPFILE\n"
		   "       makedumpfile --split [-c | -z] [-d LEVEL] VMCORE DUMPFILE DUMPFILE...\n"
		   "  -c  pages compressed by zlib      -z  by zstd      -E  an ELF file, not compressed\n"
		   "  -d  leave out: 1 zero pages, 2 page cache, 4 private page cache, 8 user pages, 16 free pages (sum)\n"
		   "  -F  flattened, for a pipe; DUMPFILE may be -\n"
		   "  DUMPFILE@BYTES begins that far into a disk\n");
	return 2;
}

static int write_dump(struct vmcore *v, const char *path, const u8 *bitmap, int level, enum format format, bool flat, struct split split, u64 *length)
{
	struct output o;
	int err = output_open(&o, path, flat);

	if (err < 0) {
		dprintf(2, "makedumpfile: %s: %s\n", path, strerror(err));
		return err;
	}
	if (format == FORMAT_ELF)
		write_elf(v, &o, bitmap);
	else
		write_kdump(v, &o, bitmap, level, format, split);
	err = output_close(&o);
	*length += o.length;
	if (o.fd != 1)
		close(o.fd);
	return err;
}

int main(int argc, char **argv)
{
	enum format format = FORMAT_KDUMP_PLAIN;
	const char *files[1 + MAX_SPLIT];
	struct counts counts = { 0 };
	bool flat = false, split = false;
	int level = 0, n = 0, err;
	struct vmcore v = { 0 };
	u64 length = 0, done = 0;
	u8 *bitmap;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-c"))
			format = FORMAT_ZLIB;
		else if (!strcmp(argv[i], "-z"))
			format = FORMAT_ZSTD;
		else if (!strcmp(argv[i], "-E"))
			format = FORMAT_ELF;
		else if (!strcmp(argv[i], "-F"))
			flat = true;
		else if (!strcmp(argv[i], "--split"))
			split = true;
		else if (!strcmp(argv[i], "-d") && i + 1 < argc) {
			level = strtol(argv[++i], NULL, 10);
			if (level < 0 || level > 31)
				return usage();
		} else if ((argv[i][0] != '-' || !argv[i][1]) && n < 1 + MAX_SPLIT)
			files[n++] = argv[i];
		else
			return usage();
	}
	if (n < 2 || (n > 2) != split || (split && (flat || format == FORMAT_ELF)))
		return usage();
	err = vmcore_open(&v, files[0]);
	if (err) {
		dprintf(2, "makedumpfile: %s: %s\n", files[0], err == -22 ? "not an ELF core file with VMCOREINFO" : strerror(err));
		return 1;
	}
	bitmap = malloc((v.max_mapnr / 8 / PAGE + 1) * PAGE);
	if (!bitmap) {
		dprintf(2, "makedumpfile: no memory for the bitmap\n");
		return 1;
	}
	memset(bitmap, 0, (v.max_mapnr / 8 / PAGE + 1) * PAGE);
	for (u64 pfn = 0; pfn < v.max_mapnr; pfn++)
		if (is_dumped(&v, pfn))
			bitmap[pfn >> 3] |= 1 << (pfn & 7);
	if (filter(&v, level, format != FORMAT_ELF, bitmap, &counts))
		return 1;
	for (int i = 1; i < n; i++) {
		u64 start = done, wanted = counts.kept * i / (n - 1);

		for (u64 kept = counts.kept * (i - 1) / (n - 1); done < v.max_mapnr && (kept < wanted || i == n - 1); done++)
			kept += test_bit(bitmap, done);
		if (write_dump(&v, files[i], bitmap, level, format, flat, (struct split){ split, start, done }, &length))
			return 1;
	}
	dprintf(2, "makedumpfile: %lu pages kept; left out: %lu zero, %lu cache, %lu user, %lu free\n", counts.kept, counts.zero, counts.cache, counts.user, counts.free);
	dprintf(2, "The dumpfile is saved to %s (%lu bytes).\n", files[1], length);
	return 0;
}
