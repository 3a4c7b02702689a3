/*
 * Freed objects wait here, oldest first, before their memory is used again: as much as a 32nd of memory.
 * Mirrors Linux 6.1 mm/kasan/quarantine.c, with one list in place of batches a CPU.
 */
#include "kasan.h"
#include <linux/spinlock.h>

#define QUARANTINE_FRACTION 32
static DEFINE_RAW_SPINLOCK(quarantine_lock);
static struct qlist_node *head, **tail = &head;
unsigned long quarantine_size, quarantine_max_size; /* a maximum of 0: not known yet */

static struct kmem_cache *cache_of(const void *object)
{
	return virt_to_head_page(object)->slab_cache;
}

/* The link lies in the free object, or behind it. */
static void *object_of(struct qlist_node *link)
{
	struct page *page = virt_to_head_page(link);

	return nearest_obj(page->slab_cache, page, link);
}

static void qlink_free(void *object)
{
	struct kmem_cache *cache = cache_of(object);

	/* free_track lies where the allocator's link goes: it is gone now */
	if (!cache->kasan_info.free_meta_offset)
		*shadow_of(object) = KASAN_SLAB_FREE;
	___cache_free(cache, object);
}

bool kasan_quarantine_put(struct kmem_cache *cache, void *object)
{
	struct qlist_node *link = &kasan_get_free_meta(cache, object)->quarantine_link;
	unsigned long flags;

	raw_spin_lock_irqsave(&quarantine_lock, flags);
	link->next = NULL;
	*tail = link;
	tail = &link->next;
	quarantine_size += cache->size;
	raw_spin_unlock_irqrestore(&quarantine_lock, flags);
	return true;
}

void __kasan_quarantine_reduce(void)
{
	unsigned long flags;

	quarantine_max_size = (unsigned long)_totalram_pages.counter * PAGE_SIZE / QUARANTINE_FRACTION;
	if (quarantine_size <= quarantine_max_size)
		return;
	for (int batch = 0; batch < 64; batch++) {
		struct qlist_node *link;
		void *object = NULL;

		raw_spin_lock_irqsave(&quarantine_lock, flags);
		link = head;
		if (link) {
			object = object_of(link);
			head = link->next;
			if (!head)
				tail = &head;
			quarantine_size -= cache_of(object)->size;
		}
		raw_spin_unlock_irqrestore(&quarantine_lock, flags);
		if (!object)
			return;
		qlink_free(object);
	}
}

/* A cache goes away, and all that is of it here with it. */
void kasan_quarantine_remove_cache(struct kmem_cache *cache)
{
	struct qlist_node **at, *link, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&quarantine_lock, flags);
	for (at = &head; (link = *at);) {
		if (cache_of(object_of(link)) != cache) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		link->next = found;
		found = link;
		quarantine_size -= cache->size;
	}
	tail = at;
	raw_spin_unlock_irqrestore(&quarantine_lock, flags);
	while ((link = found)) {
		found = link->next;
		qlink_free(object_of(link));
	}
}
