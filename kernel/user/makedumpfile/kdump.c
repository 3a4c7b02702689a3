/*
 * The kdump-compressed format, version 6, in blocks of a page:
 *
 *   disk_dump_header | kdump_sub_header, VMCOREINFO, notes | bitmap of memory, bitmap of the dump | page descriptors | pages
 */
#include "makedumpfile.h"

struct disk_dump_header {
	char signature[8];
	int header_version;
	struct utsname utsname;
	char pad[6];
	long tv_sec, tv_usec;
	u32 status;
	int block_size, sub_hdr_size;
	u32 bitmap_blocks, max_mapnr, total_ram_blocks, device_blocks, written_blocks, current_cpu;
	int nr_cpus;
};
struct kdump_sub_header {
	u64 phys_base;
	int dump_level, split;
	u64 start_pfn, end_pfn, offset_vmcoreinfo, size_vmcoreinfo, offset_note, size_note, offset_eraseinfo, size_eraseinfo;
	u64 start_pfn_64, end_pfn_64, max_mapnr_64;
};
struct page_desc { u64 offset; u32 size, flags; u64 page_flags; };

static u64 blocks(u64 bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

static int count_cpus(const struct vmcore *v)
{
	int n = 0;

	for (size_t at = 0; at + 12 <= v->notes_size;) {
		const u32 *note = (const void *)(v->notes + at);

		n += note[0] == 5 && note[2] == 1;
		at += 12 + ((note[0] + 3UL) & ~3UL) + ((note[1] + 3UL) & ~3UL);
	}
	return n;
}

/* The page as it goes into the file: compressed where that helps. */
static struct page_desc store_page(struct output *o, u64 at, const u8 *page, enum format format)
{
	static u8 packed[PAGE];
	size_t n = format == FORMAT_ZLIB ? zlib_compress(page, PAGE, packed, PAGE - 1) : format == FORMAT_ZSTD ? zstd_compress(page, PAGE, packed, PAGE - 1) : 0;

	output_at(o, at, n ? packed : page, n ? n : PAGE);
	return (struct page_desc){ at, n ? n : PAGE, n ? format : 0, 0 };
}

void write_kdump(struct vmcore *v, struct output *o, const u8 *bitmap, int level, enum format format, struct split split)
{
	size_t bitmap_size = blocks((v->max_mapnr + 7) / 8) * PAGE;
	u64 sub_size = blocks(sizeof(struct kdump_sub_header) + v->notes_size), kept = 0, n = 0, phys_base = 0, descs_at, zero_at, at;
	struct kdump_sub_header sub = { .dump_level = level, .split = split.used };
	struct disk_dump_header header = { .signature = { 'K', 'D', 'U', 'M', 'P', ' ', ' ', ' ' }, .header_version = 6 };
	static u8 page[PAGE], memory[PAGE];
	struct page_desc *descs, zero = { 0 };
	u64 crash_time = 0;

	info_number(v, "NUMBER(phys_base)", 10, &phys_base);
	info_number(v, "CRASHTIME", 10, &crash_time);
	for (u64 pfn = split.start; pfn < split.end; pfn++)
		kept += test_bit(bitmap, pfn);
	descs = malloc(kept * sizeof(*descs) + 1);
	if (!descs) {
		dprintf(2, "makedumpfile: no memory for %lu page descriptors\n", kept);
		o->failed = true;
		return;
	}
	descs_at = (1 + sub_size) * PAGE + 2 * bitmap_size;
	zero_at = at = descs_at + blocks(kept * sizeof(*descs)) * PAGE;
	memset(page, 0, PAGE);
	zero = store_page(o, at, page, FORMAT_KDUMP_PLAIN); /* all zero pages share this one */
	at += PAGE;
	for (u64 pfn = split.start; pfn < split.end && !o->failed; pfn++) {
		bool nothing = true;

		if (!test_bit(bitmap, pfn))
			continue;
		if (read_physical(v, pfn * PAGE, page, PAGE))
			memset(page, 0, PAGE);
		for (size_t i = 0; i < PAGE && nothing; i += 8)
			nothing = !*(u64 *)(page + i);
		descs[n] = nothing ? zero : store_page(o, at, page, format);
		at += nothing ? 0 : descs[n].size;
		n++;
	}
	syscall(SYS_uname, &header.utsname, 0, 0);
	info_string(v, "OSRELEASE", header.utsname.release, sizeof(header.utsname.release));
	header.tv_sec = crash_time;
	header.status = format & 0x2f;
	header.block_size = PAGE;
	header.sub_hdr_size = sub_size;
	header.bitmap_blocks = 2 * bitmap_size / PAGE;
	header.max_mapnr = v->max_mapnr;
	header.written_blocks = 1 + sub_size + header.bitmap_blocks;
	header.nr_cpus = count_cpus(v);
	sub.phys_base = phys_base;
	sub.start_pfn = sub.start_pfn_64 = split.used ? split.start : 0;
	sub.end_pfn = sub.end_pfn_64 = split.used ? split.end : 0;
	sub.max_mapnr_64 = v->max_mapnr;
	sub.offset_note = PAGE + sizeof(sub);
	sub.size_note = v->notes_size;
	sub.offset_vmcoreinfo = sub.offset_note + v->info_at;
	sub.size_vmcoreinfo = v->info_size;
	output_at(o, 0, &header, sizeof(header));
	memset(page, 0, PAGE);
	output_at(o, sizeof(header), page, PAGE - sizeof(header));
	output_at(o, PAGE, &sub, sizeof(sub));
	output_at(o, PAGE + sizeof(sub), v->notes, v->notes_size);
	output_at(o, PAGE + sizeof(sub) + v->notes_size, page, sub_size * PAGE - sizeof(sub) - v->notes_size);
	for (size_t i = 0; i < bitmap_size; i += PAGE) {
		memset(memory, 0, PAGE);
		for (size_t bit = 0; bit < 8 * PAGE; bit++)
			if (i * 8 + bit < v->max_mapnr && is_dumped(v, i * 8 + bit))
				memory[bit >> 3] |= 1 << (bit & 7);
		output_at(o, (1 + sub_size) * PAGE + i, memory, PAGE);
	}
	output_at(o, (1 + sub_size) * PAGE + bitmap_size, bitmap, bitmap_size);
	output_at(o, descs_at, descs, kept * sizeof(*descs));
	output_at(o, descs_at + kept * sizeof(*descs), page, zero_at - descs_at - kept * sizeof(*descs));
	free(descs);
}
