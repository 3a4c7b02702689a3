/* The kind of a bad access by what is known of its pointer, and the tags. Mirrors Linux 6.1 mm/kasan/report_tags.c. */
#include "tags.h"

/* In hardware mode the address itself: where in the access the tags begin to differ is not known. */
unsigned long kasan_tags_find_first_bad_addr(unsigned long addr, size_t size)
{
	u8 tag = kasan_get_tag((void *)addr);
	unsigned long at = (unsigned long)kasan_reset_tag((void *)addr), end = at + size;

	if (kasan_kind == KASAN_HW_TAGS || !size || !addr_has_metadata(at))
		return at;
	while (at < end && *shadow_of((void *)at) == tag)
		at += KASAN_GRANULE_SIZE;
	return at;
}

static const char *get_common_bug_type(const struct kasan_report_info *info)
{
	return info->access_addr + info->access_size < info->access_addr ? "out-of-bounds" : "invalid-access";
}

/*
 * Backwards through the ring: the last free and the last allocation of that object under that tag. A free that comes
 * first makes it a use after free. Best effort, as in Linux: tags come again, and entries are overwritten.
 */
void kasan_tags_complete_report_info(struct kasan_report_info *info)
{
	bool alloc_found = false, free_found = false;
	u64 pos = READ_ONCE(kasan_stack_ring.pos);

	if ((!info->cache || !info->object) && !info->bug_type)
		info->bug_type = get_common_bug_type(info);
	for (u64 i = 1; info->object && i <= min(pos, (u64)kasan_stack_ring.size) && !(alloc_found && free_found); i++) {
		const struct kasan_stack_ring_entry *entry = &kasan_stack_ring.entries[(pos - i) % kasan_stack_ring.size];

		if (kasan_reset_tag(entry->ptr) != info->object || kasan_get_tag(entry->ptr) != kasan_get_tag((void *)info->access_addr))
			continue;
		if (entry->is_free ? free_found : alloc_found)
			break; /* of an earlier life */
		if (entry->is_free) {
			info->free_track = (struct kasan_track){ entry->pid, entry->stack };
			free_found = true;
		} else {
			info->alloc_track = (struct kasan_track){ entry->pid, entry->stack };
			alloc_found = true;
		}
		if (!info->bug_type)
			info->bug_type = entry->is_free ? "use-after-free" : "slab-out-of-bounds";
	}
	if (!info->bug_type)
		info->bug_type = get_common_bug_type(info);
}

void kasan_print_tags(const struct kasan_report_info *info)
{
	pr_err("Pointer tag: [%02x], memory tag: [%02x]\n", kasan_get_tag((void *)info->access_addr),
	       *shadow_of((void *)info->first_bad_addr));
}
