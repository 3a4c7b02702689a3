/* Copies the memory of a crashed kernel out of /proc/vmcore, less the pages nobody needs, and smaller. */
#ifndef MAKEDUMPFILE_H
#define MAKEDUMPFILE_H
#include <elf.h>

/* ---- vmcore.c: the old memory ---- */
struct vmcore {
	int fd;
	struct elf64_hdr hdr;
	struct elf64_phdr *phdr;	/* hdr.e_phnum of them */
	char *notes;			/* the contents of PT_NOTE */
	size_t notes_size;
	char *info;			/* VMCOREINFO as a string */
	size_t info_size, info_at;	/* info_at: where in the notes */
	u64 max_mapnr;			/* one more than the highest page frame number */
	u64 pgd;			/* physical address of the kernel's page tables */
};
int vmcore_open(struct vmcore *v, const char *path);
/* Physical memory: 0, or -1 where there is none. */
int read_physical(struct vmcore *v, u64 address, void *to, size_t n);
int read_virtual(struct vmcore *v, u64 address, void *to, size_t n);
/* Frame numbers that are in the dump at all. */
bool is_dumped(const struct vmcore *v, u64 pfn);
/* KEY=value of VMCOREINFO, in the given base; false without it. */
bool info_number(const struct vmcore *v, const char *key, int base, u64 *value);
bool info_string(const struct vmcore *v, const char *key, char *to, size_t size);

/* ---- filter.c: which pages to keep ---- */
enum { DL_ZERO = 1, DL_CACHE = 2, DL_CACHE_PRIVATE = 4, DL_USER = 8, DL_FREE = 16 };
struct counts { u64 zero, cache, user, free, kept; };
/* Clears the bits of pages that the level excludes. keep_zero: the format has all zero pages in one place. */
int filter(struct vmcore *v, int level, bool keep_zero, u8 *bitmap, struct counts *counts);

/* ---- output.c: plain, or as records that a pipe can carry ---- */
struct output { int fd; bool flat, failed; u64 base, start, used, length, stream_used; u8 *buffer, *stream; };
/* NAME, or DISK@BYTES: not at the disk's start but there, so that one disk takes several files. */
int output_open(struct output *o, const char *path, bool flat);
/* Runs of ascending offsets; each run begins at a multiple of a page. */
void output_at(struct output *o, u64 offset, const void *data, size_t n);
/* 0, or -errno if anything failed. */
int output_close(struct output *o);

/* ---- deflate.c ---- */
/* A zlib stream (RFC 1950) of n bytes, at most `room` long; 0 when it would not fit. */
size_t zlib_compress(const u8 *from, size_t n, u8 *to, size_t room);
/* ---- zstd.c ---- */
/* A zstd frame (RFC 8878); 0 when it would not fit. */
size_t zstd_compress(const u8 *from, size_t n, u8 *to, size_t room);

/* ---- kdump.c, elf.c: the files ---- */
enum format { FORMAT_KDUMP_PLAIN, FORMAT_ZLIB = 1, FORMAT_ZSTD = 0x20, FORMAT_ELF = 0x100 };
struct split { bool used; u64 start, end; };	/* page frames of this file */
void write_kdump(struct vmcore *v, struct output *o, const u8 *bitmap, int level, enum format format, struct split split);
void write_elf(struct vmcore *v, struct output *o, const u8 *bitmap);

static inline bool test_bit(const u8 *bitmap, u64 n) { return bitmap[n >> 3] >> (n & 7) & 1; }
#endif
