/* The dump level: zero pages, page cache, user pages and free pages, told apart by struct page (makedumpfile(8), -d). */
#include "makedumpfile.h"

#define SECTION_MAP_MASK (~0x3fUL)
#define BATCH 64

struct layout { u64 mem_section, size_mem_section, section_mem_map, page, flags, refcount, mapping, mapcount, private, section_bits; u64 pg_lru, pg_private, pg_swapcache, pg_swapbacked, pg_slab, buddy; };

static int find_layout(struct vmcore *v, struct layout *l)
{
	const struct { const char *key; int base; u64 *to; } wanted[] = {
		{ "SYMBOL(mem_section)", 16, &l->mem_section }, { "SIZE(mem_section)", 10, &l->size_mem_section },
		{ "OFFSET(mem_section.section_mem_map)", 10, &l->section_mem_map }, { "SIZE(page)", 10, &l->page },
		{ "OFFSET(page.flags)", 10, &l->flags }, { "OFFSET(page._refcount)", 10, &l->refcount }, { "OFFSET(page.mapping)", 10, &l->mapping },
		{ "OFFSET(page._mapcount)", 10, &l->mapcount }, { "OFFSET(page.private)", 10, &l->private },
		{ "NUMBER(SECTION_SIZE_BITS)", 10, &l->section_bits }, { "NUMBER(PG_lru)", 10, &l->pg_lru }, { "NUMBER(PG_private)", 10, &l->pg_private },
		{ "NUMBER(PG_swapcache)", 10, &l->pg_swapcache }, { "NUMBER(PG_swapbacked)", 10, &l->pg_swapbacked }, { "NUMBER(PG_slab)", 10, &l->pg_slab },
		{ "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", 10, &l->buddy },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!info_number(v, wanted[i].key, wanted[i].base, wanted[i].to)) {
			dprintf(2, "makedumpfile: no %s in VMCOREINFO\n", wanted[i].key);
			return -1;
		}
	return l->page >= 32 && l->page <= 256 ? 0 : -1;
}

/* Virtual address of the struct page of a frame's section, less that of frame 0; 0 without one. */
static u64 section_map(struct vmcore *v, const struct layout *l, u64 pfn)
{
	u64 per_root = PAGE / l->size_mem_section, section = pfn >> (l->section_bits - 12), roots, root, map;

	if (read_virtual(v, l->mem_section, &roots, 8) || read_virtual(v, roots + section / per_root * 8, &root, 8) || !root)
		return 0;
	if (read_virtual(v, root + section % per_root * l->size_mem_section + l->section_mem_map, &map, 8) || !(map & 2))
		return 0;
	return map & SECTION_MAP_MASK;
}

static u64 field(const u8 *page, u64 offset, size_t size)
{
	u64 value = 0;

	memcpy(&value, page + offset, size);
	return value;
}

static void clear(u8 *bitmap, u64 pfn, u64 *count)
{
	if (!test_bit(bitmap, pfn))
		return;
	bitmap[pfn >> 3] &= ~(1 << (pfn & 7));
	++*count;
}

/* One frame by its struct page; `order` tells how many frames a free block has. */
static void filter_page(const struct layout *l, const u8 *page, u64 pfn, u64 end, int level, u8 *bitmap, struct counts *counts)
{
	u64 flags = field(page, l->flags, 8), mapping = field(page, l->mapping, 8);
	bool slab = flags >> l->pg_slab & 1, anonymous = mapping & 1;
	bool cache = flags >> l->pg_lru & 1 && !(flags >> l->pg_swapbacked & 1 && !(flags >> l->pg_swapcache & 1)) && !anonymous;

	if (level & DL_FREE && (u32)field(page, l->mapcount, 4) == (u32)l->buddy && !slab) {
		u64 order = field(page, l->private, 8);

		for (u64 i = pfn; order < 20 && i < pfn + (1UL << order) && i < end; i++)
			clear(bitmap, i, &counts->free);
		return;
	}
	if (!(u32)field(page, l->refcount, 4) || slab)
		return;
	if (level & DL_USER && anonymous)
		clear(bitmap, pfn, &counts->user);
	else if (cache && (flags >> l->pg_private & 1 ? level & DL_CACHE_PRIVATE : level & (DL_CACHE | DL_CACHE_PRIVATE)))
		clear(bitmap, pfn, &counts->cache);
}

static bool is_zero(struct vmcore *v, u64 pfn)
{
	static u64 page[PAGE / 8];

	if (read_physical(v, pfn * PAGE, page, PAGE))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(page); i++)
		if (page[i])
			return false;
	return true;
}

int filter(struct vmcore *v, int level, bool keep_zero, u8 *bitmap, struct counts *counts)
{
	static u8 pages[BATCH * 256];
	struct layout l;

	if (level & ~DL_ZERO) {
		if (find_layout(v, &l))
			return -1;
		for (u64 pfn = 0; pfn < v->max_mapnr; pfn += BATCH) {
			u64 map = section_map(v, &l, pfn), n = v->max_mapnr - pfn < BATCH ? v->max_mapnr - pfn : BATCH;

			if (!map || read_virtual(v, map + pfn * l.page, pages, n * l.page))
				continue;
			for (u64 i = 0; i < n; i++)
				filter_page(&l, pages + i * l.page, pfn + i, v->max_mapnr, level, bitmap, counts);
		}
	}
	for (u64 pfn = 0; pfn < v->max_mapnr; pfn++) {
		if (test_bit(bitmap, pfn) && level & DL_ZERO && is_zero(v, pfn)) {
			if (keep_zero)
				counts->zero++;
			else
				clear(bitmap, pfn, &counts->zero);
		}
		counts->kept += test_bit(bitmap, pfn);
	}
	return 0;
}
