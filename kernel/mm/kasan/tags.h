/* What the files of the tag modes share. Mirrors parts of Linux 6.1 mm/kasan/kasan.h. */
#ifndef _MM_KASAN_TAGS_H
#define _MM_KASAN_TAGS_H
#include "kasan.h"

struct kasan_stack_ring_entry {
	void *ptr;	/* with its tag */
	size_t size;
	u32 pid;
	depot_stack_handle_t stack;
	bool is_free;
};
struct kasan_stack_ring {
	u64 pos;	/* of the next entry, ever growing */
	size_t size;
	struct kasan_stack_ring_entry *entries;
};
extern struct kasan_stack_ring kasan_stack_ring;
#endif
