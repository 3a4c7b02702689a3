/*
 * What the two tag modes share: a pointer has a tag in its top byte, each granule of 16 bytes of memory has one in the
 * shadow, and an access through a pointer with another tag is bad. Every object gets a random tag when it is allocated,
 * and memory that nobody has gets KASAN_TAG_INVALID. Who allocated and freed what is in a ring, by pointer with its tag.
 * Mirrors Linux 6.1 mm/kasan/tags.c and sw_tags.c.
 */
#include "tags.h"
#include "track.h"
#include <linux/spinlock.h>

#define KASAN_STACK_RING_SIZE_DEFAULT (32UL << 10)

struct kasan_stack_ring kasan_stack_ring = { .size = KASAN_STACK_RING_SIZE_DEFAULT };

static int stack_ring_size_setup(char *value)
{
	unsigned long size = simple_strtoul(value, NULL, 0);

	if (size)
		kasan_stack_ring.size = min(size, 1UL << 20);
	return 1;
}
early_param("kasan.stack_ring_size=", stack_ring_size_setup);

void kasan_init_tags(void *(*alloc)(unsigned long size))
{
	kasan_stack_ring.entries = alloc(kasan_stack_ring.size * sizeof(*kasan_stack_ring.entries));
}

/* F0h to FDh in hardware mode, else 00h to FDh. */
u8 kasan_random_tag(void)
{
	static u64 state = 0x2545f4914f6cdd1d;
	u8 lowest = kasan_kind == KASAN_HW_TAGS ? 0xf0 : 0;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return lowest + (state >> 32) % (KASAN_TAG_MAX + 1 - lowest);
}

bool kasan_tags_match(unsigned long addr, size_t size)
{
	u8 tag = kasan_get_tag((void *)addr);
	unsigned long first = (unsigned long)kasan_reset_tag((void *)addr), last = first + size - 1;

	if (tag == KASAN_TAG_KERNEL)
		return true;
	if (!addr_has_metadata(addr | 0xffUL << 56) || last < first)
		return false;
	for (unsigned long at = first & ~KASAN_GRANULE_MASK; at <= last; at += KASAN_GRANULE_SIZE)
		if (*shadow_of((void *)at) != tag)
			return false;
	return true;
}

noinline void save_stack_info(struct kmem_cache *cache, void *object, bool is_free)
{
	u64 pos = __atomic_fetch_add(&kasan_stack_ring.pos, 1, __ATOMIC_RELAXED), hash;
	struct kasan_track track;

	if (!set_recent_track(&track, &hash))
		track.stack = kasan_save_stack(hash);
	kasan_stack_ring.entries[pos % kasan_stack_ring.size] = (struct kasan_stack_ring_entry){
		.ptr = object, .size = cache->object_size, .pid = track.pid, .stack = track.stack, .is_free = is_free,
	};
}

noinline void *kasan_save_alloc_info(void *object)
{
	save_stack_info(virt_to_head_page(object)->slab_cache, object, false);
	return object;
}
