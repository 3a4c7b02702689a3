/* What the slab allocator's files share. Mirrors Linux mm/slab.h. */
#ifndef MM_SLAB_H
#define MM_SLAB_H
#include <linux/mm.h>
#include <linux/kernel.h>

#define SLAB_CONSISTENCY_CHECKS 0x100u
#define SLAB_RED_ZONE 0x400u
#define SLAB_POISON 0x800u
#define SLAB_STORE_USER 0x10000u
/* Objects may be looked at until a grace period after their free. */
#define SLAB_TYPESAFE_BY_RCU 0x80000u
#define SLAB_DEBUG_FLAGS (SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)
/* Free objects really are filled with the poison. */
#define __OBJECT_POISON 0x80000000u

/* Bytes that debugging fills memory with (Linux include/linux/poison.h). */
#define SLUB_RED_INACTIVE 0xbb
#define SLUB_RED_ACTIVE 0xcc
#define POISON_INUSE 0x5a
#define POISON_FREE 0x6b
#define POISON_END 0xa5

static inline struct page *virt_to_head_page(const void *p)
{
	return compound_head(virt_to_page(p));
}

static inline bool PageSlab(const struct page *page)
{
	return page->flags & 1UL << PG_slab;
}

static inline void *get_freepointer(struct kmem_cache *s, void *object)
{
	return *(void **)((char *)object + s->offset);
}

static inline struct kmem_cache *virt_to_cache(const void *obj)
{
	struct page *page = virt_to_head_page(obj);

	if (WARN_ONCE(!PageSlab(page), "%s: Object is not a Slab page!\n", __func__))
		return NULL;
	return page->slab_cache;
}

/* The cache an object is really of; the caller's word is checked. */
static inline struct kmem_cache *cache_from_obj(struct kmem_cache *s, void *x)
{
	struct kmem_cache *cachep = virt_to_cache(x);

	WARN(cachep && cachep != s, "%s: Wrong slab cache. %s but object is from %s\n", __func__, s->name, cachep->name);
	return cachep;
}

/* mm/slub.c: `init_on_alloc=1`, `init_on_free=1`. */
extern bool init_on_alloc, init_on_free;

/* mm/slub_debug.c */
extern slab_flags_t slub_debug;
slab_flags_t kmem_cache_flags(const char *name, slab_flags_t flags);
/* Room that the debugging data of an object takes; sets inuse, offset, red_left_pad and size. */
void calculate_debug_sizes(struct kmem_cache *s);
void setup_slab_debug(struct kmem_cache *s, struct page *page, char *start);
/* False: the object must not be handed out, and its slab is given up. */
bool alloc_debug_processing(struct kmem_cache *s, struct page *page, void *object, unsigned long addr);
/* False: the object is left as it is. */
bool free_debug_processing(struct kmem_cache *s, struct page *page, void *object, unsigned long addr);
#endif
