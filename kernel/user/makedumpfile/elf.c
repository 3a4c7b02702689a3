/* The ELF form: the notes as they are, and a PT_LOAD for each run of pages that is kept. */
#include "makedumpfile.h"

#define PAGES_TO_SKIP 256	/* a shorter gap is not worth another program header */

/*
 * Calls `use` for each run of kept pages of each piece of memory, and what is left out behind it (it reads as
 * zeroes); gives the number of runs.
 */
static int each_run(struct vmcore *v, const u8 *bitmap, void (*use)(void *data, const struct elf64_phdr *p, u64 offset, u64 size, u64 with_gap), void *data)
{
	int n = 0;

	for (int i = 0; i < v->hdr.e_phnum; i++) {
		const struct elf64_phdr *p = &v->phdr[i];
		u64 size = (p->p_memsz + PAGE - 1) & ~(PAGE - 1), start, end, at = 0;

		if (p->p_type != PT_LOAD)
			continue;
		while (at < size) {
			start = at;
			do {
				for (; at < size && test_bit(bitmap, (p->p_paddr + at) / PAGE); at += PAGE)
					;
				for (end = at; at < size && !test_bit(bitmap, (p->p_paddr + at) / PAGE); at += PAGE)
					;
			} while (at < size && at - end < PAGES_TO_SKIP * PAGE);
			n++;
			if (use)
				use(data, p, start, end - start, at - start);
		}
	}
	return n;
}

struct writer { struct vmcore *v; struct output *o; struct elf64_phdr *next; u64 at; };

static void add_header(void *data, const struct elf64_phdr *p, u64 offset, u64 size, u64 with_gap)
{
	struct writer *w = data;

	*w->next++ = (struct elf64_phdr){ PT_LOAD, p->p_flags, w->at, p->p_vaddr + offset, p->p_paddr + offset, size, with_gap, 0 };
	w->at += size;
}

static void copy_pages(void *data, const struct elf64_phdr *p, u64 offset, u64 size, u64 with_gap)
{
	static u8 page[PAGE];
	struct writer *w = data;

	for (u64 at = 0; at < size && !w->o->failed; at += PAGE) {
		if (read_physical(w->v, p->p_paddr + offset + at, page, PAGE))
			memset(page, 0, PAGE);
		output_at(w->o, w->at + at, page, PAGE);
	}
	w->at += size;
}

void write_elf(struct vmcore *v, struct output *o, const u8 *bitmap)
{
	int runs = each_run(v, bitmap, NULL, NULL);
	struct elf64_hdr hdr = v->hdr;
	struct elf64_phdr *phdr = malloc((1 + runs) * sizeof(*phdr));
	size_t headers = sizeof(hdr) + (1 + runs) * sizeof(*phdr);
	u64 pages_at = (headers + v->notes_size + PAGE - 1) & ~(PAGE - 1);
	struct writer w = { v, o, phdr + 1, pages_at };
	static const u8 zeroes[PAGE];

	if (!phdr || runs > 65000) {
		dprintf(2, "makedumpfile: too many pieces for ELF: %d\n", runs);
		o->failed = true;
		return;
	}
	hdr.e_phnum = 1 + runs;
	hdr.e_phoff = sizeof(hdr);
	phdr[0] = (struct elf64_phdr){ .p_type = PT_NOTE, .p_offset = headers, .p_filesz = v->notes_size, .p_memsz = v->notes_size };
	each_run(v, bitmap, add_header, &w);
	output_at(o, 0, &hdr, sizeof(hdr));
	output_at(o, sizeof(hdr), phdr, (1 + runs) * sizeof(*phdr));
	output_at(o, headers, v->notes, v->notes_size);
	output_at(o, headers + v->notes_size, zeroes, pages_at - headers - v->notes_size);
	w.at = pages_at;
	each_run(v, bitmap, copy_pages, &w);
	free(phdr);
}
