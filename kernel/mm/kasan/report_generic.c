/* The kind of a bad access by its shadow, and the frame of a stack object. Mirrors Linux 6.1 mm/kasan/report_generic.c. */
#include "kasan.h"

/* The granule that a report is about: the first one whose shadow is not zero. */
unsigned long kasan_find_first_bad_addr(unsigned long addr, size_t size)
{
	unsigned long at = addr;

	while (addr_has_metadata(addr) && at < addr + size && !*shadow_of((void *)at))
		at += KASAN_GRANULE_SIZE;
	return at;
}

static const char *get_shadow_bug_type(const struct kasan_report_info *info)
{
	const u8 *shadow = shadow_of((void *)info->first_bad_addr);

	/* a granule that is good in part: the next one says what lies behind it */
	if (*shadow > 0 && *shadow <= KASAN_GRANULE_SIZE - 1)
		shadow++;
	switch (*shadow) {
	case 0 ... 7:
		return "out-of-bounds";
	case KASAN_PAGE_REDZONE:
	case KASAN_SLAB_REDZONE:
		return "slab-out-of-bounds";
	case KASAN_GLOBAL_REDZONE:
		return "global-out-of-bounds";
	case KASAN_STACK_LEFT:
	case KASAN_STACK_MID:
	case KASAN_STACK_RIGHT:
	case KASAN_STACK_PARTIAL:
		return "stack-out-of-bounds";
	case KASAN_PAGE_FREE:
	case KASAN_SLAB_FREE:
	case KASAN_SLAB_FREETRACK:
		return "use-after-free";
	case KASAN_ALLOCA_LEFT:
	case KASAN_ALLOCA_RIGHT:
		return "alloca-out-of-bounds";
	case KASAN_VMALLOC_INVALID:
		return "vmalloc-out-of-bounds";
	}
	return "unknown-crash";
}

static const char *get_wild_bug_type(const struct kasan_report_info *info)
{
	if (info->access_addr < PAGE_SIZE)
		return "null-ptr-deref";
	if (info->access_addr < TASK_SIZE)
		return "user-memory-access";
	return "wild-memory-access";
}

static const char *get_bug_type(const struct kasan_report_info *info)
{
	/* a size below zero: memmove() and its like with a length that was subtracted too far */
	if (info->access_addr + info->access_size < info->access_addr)
		return "out-of-bounds";
	return addr_has_metadata(info->access_addr) ? get_shadow_bug_type(info) : get_wild_bug_type(info);
}

void kasan_complete_mode_report_info(struct kasan_report_info *info)
{
	if (!info->bug_type)
		info->bug_type = get_bug_type(info);
	if (!info->object)
		return;
	info->alloc_track = kasan_get_alloc_meta(info->cache, info->object)->alloc_track;
	if (*shadow_of(info->object) == KASAN_SLAB_FREETRACK)
		info->free_track = kasan_get_free_meta(info->cache, info->object)->free_track;
}

void kasan_metadata_fetch_row(u8 *buffer, void *row)
{
	/* the shadow of a neighbour may not be mapped */
	if (copy_from_kernel_nofault(buffer, shadow_of(row), META_BYTES_PER_ROW))
		memset(buffer, kasan_tags() ? KASAN_TAG_INVALID : KASAN_VMALLOC_INVALID, META_BYTES_PER_ROW);
}

/* A number of the description, and the space behind it. */
static bool next_number(const char **at, unsigned long *value)
{
	char *end;

	*value = simple_strtoul(*at, &end, 10);
	if (end == *at || (*end && *end != ' '))
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

/* `COUNT OFFSET SIZE LENGTH NAME ...`, as the compiler writes it; NAME may end in `:LINE`. */
static void print_decoded_frame_descr(const char *descr)
{
	unsigned long count, offset, size, length;

	if (!next_number(&descr, &count))
		return;
	pr_err("\n");
	pr_err("This frame has %lu %s:\n", count, count == 1 ? "object" : "objects");
	while (count--) {
		char name[64];
		char *line;

		if (!next_number(&descr, &offset) || !next_number(&descr, &size) || !next_number(&descr, &length))
			return;
		snprintf(name, sizeof(name), "%.*s", (int)length, descr);
		line = strchr(name, ':');
		if (line)
			*line = 0;
		descr += length;
		if (*descr == ' ')
			descr++;
		pr_err(" [%lu, %lu) '%s'", offset, offset + size, name);
	}
}

/* The frame begins where the left red zone does. */
static const unsigned long *frame_of(const void *addr)
{
	const char *at = (const char *)((unsigned long)addr & ~KASAN_GRANULE_MASK), *bottom = current->stack;

	while (at >= bottom && *shadow_of(at) != KASAN_STACK_LEFT)
		at -= KASAN_GRANULE_SIZE;
	while (at >= bottom && *shadow_of(at) == KASAN_STACK_LEFT)
		at -= KASAN_GRANULE_SIZE;
	return at < bottom ? NULL : (const unsigned long *)(at + KASAN_GRANULE_SIZE);
}

void kasan_print_address_stack_frame(const void *addr)
{
	const unsigned long *frame;

	pr_err("The buggy address belongs to stack of task %s/%d\n", current->comm, current->pid);
	frame = frame_of(addr);
	if (!frame || frame[0] != KASAN_CURRENT_STACK_FRAME_MAGIC)
		return;
	pr_err(" and is located at offset %lu in frame:\n", (unsigned long)addr - (unsigned long)frame);
	pr_err(" %pS\n", (void *)frame[2]);
	print_decoded_frame_descr((const char *)frame[1]);
}
