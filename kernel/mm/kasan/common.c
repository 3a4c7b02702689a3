/* What the allocators tell KASAN of slabs and large kmallocs, in every mode. Mirrors Linux 6.1 mm/kasan/common.c. */
#include "quarantine.h"
#include "shadow.h"
#include "track.h"
#include <linux/kfence.h>

bool kasan_stacktrace = true;

static int kasan_stacktrace_setup(char *value)
{
	kasan_stacktrace = strcmp(value, "off") != 0;
	return 1;
}
early_param("kasan.stacktrace=", kasan_stacktrace_setup);

void kasan_disable_current(void)
{
	current->kasan_depth++;
}

void kasan_enable_current(void)
{
	current->kasan_depth--;
}

u64 kasan_recent_stacks[RECENT_SETS][2];

/* Unwinds, and remembers that for the hash unless it is 0. */
noinline depot_stack_handle_t kasan_save_stack(u64 hash)
{
	unsigned long entries[64];
	depot_stack_handle_t handle = stack_depot_save(entries, stack_trace_save(entries, ARRAY_SIZE(entries), 0));
	u64 *recent = kasan_recent_stacks[hash % RECENT_SETS];

	if (hash && handle) {
		WRITE_ONCE(recent[1], recent[0]);
		WRITE_ONCE(recent[0], (hash & ~HANDLE_MASK) | handle);
	}
	return handle;
}

noinline void *kasan_set_track(struct kasan_track *track, u64 hash, void *object)
{
	track->stack = kasan_save_stack(hash);
	return object;
}

/* Its objects have tags, the pages have none. */
void __kasan_poison_slab(struct page *page)
{
	unsigned int order = compound_order(page);

	for (unsigned long i = 0; kasan_tags() && i < 1UL << order; i++)
		page_kasan_tag_set(page + i, KASAN_TAG_KERNEL);
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_SLAB_REDZONE);
}

/* What size leaves of the object is red zone. Part of its callers, and small: generic mode is to be fast. */
static inline __attribute__((always_inline)) void *resize_generic_object(struct kmem_cache *cache, void *object, size_t size)
{
	struct kasan_track *track = &kasan_get_alloc_meta(cache, object)->alloc_track;
	u64 hash;

	fill_slab_shadow(object, size, cache->object_size);
	return set_recent_track(track, &hash) ? object : kasan_set_track(track, hash, object);
}

/* Both return the object that is to be used, so that nothing need be kept over them. */
static noinline void *resize_tagged_object(struct kmem_cache *cache, void *object, size_t size)
{
	unsigned long used = ALIGN(size, KASAN_GRANULE_SIZE), all = ALIGN(cache->object_size, (unsigned int)KASAN_GRANULE_SIZE);

	kasan_unpoison(object, size);
	kasan_poison((char *)object + used, all - used, KASAN_SLAB_REDZONE);
	return object;
}

static noinline void *tag_object(struct kmem_cache *cache, void *object, size_t size)
{
	return resize_tagged_object(cache, kasan_set_tag(object, kasan_random_tag()), size);
}

static noinline void *kasan_reduce_and_alloc(struct kmem_cache *cache, void *object, size_t size)
{
	__kasan_quarantine_reduce();
	return resize_generic_object(cache, object, size);
}

static inline __attribute__((always_inline)) void *kasan_alloc(struct kmem_cache *cache, void *object, size_t size)
{
	if (unlikely(kasan_tags()))
		return kasan_save_alloc_info(tag_object(cache, object, size));
	if (unlikely(kasan_quarantine_is_full()))
		return kasan_reduce_and_alloc(cache, object, size);
	return resize_generic_object(cache, object, size);
}

/* As large as its cache says. */
noinline void *__kasan_slab_alloc(struct kmem_cache *cache, void *object)
{
	return kasan_alloc(cache, object, cache->object_size);
}

noinline void *__kasan_kmalloc(struct kmem_cache *cache, void *object, size_t size)
{
	return kasan_alloc(cache, object, size);
}

static void resize_large(void *ptr, size_t size)
{
	char *used = (char *)ptr + ALIGN(size, KASAN_GRANULE_SIZE), *end = (char *)ptr + (PAGE_SIZE << compound_order(virt_to_page(ptr)));

	kasan_unpoison(ptr, size);
	kasan_poison(used, end - used, KASAN_PAGE_REDZONE);
}

/* The pages have been given a tag already. */
void *__kasan_kmalloc_large(void *ptr, size_t size)
{
	if (!kasan_tags() && kasan_quarantine_is_full())
		__kasan_quarantine_reduce();
	resize_large(ptr, size);
	return ptr;
}

noinline void *__kasan_krealloc(void *object, size_t size)
{
	struct page *page = virt_to_head_page(object);

	if (is_kfence_address(object))
		return object;
	if (!PageSlab(page))
		resize_large(object, size);
	else if (kasan_tags())
		kasan_save_alloc_info(resize_tagged_object(page->slab_cache, object, size));
	else
		resize_generic_object(page->slab_cache, object, size);
	return object;
}

/* Not what is usual: a bad free, or an object that may be looked at for a while yet. */
static noinline bool kasan_free_unusual(struct kmem_cache *cache, struct page *page, void *object, unsigned long ip)
{
	if (nearest_obj(cache, page, object) != kasan_reset_tag(object))
		kasan_report_invalid_free(object, ip, KASAN_REPORT_INVALID_FREE);
	else if (cache->flags & SLAB_TYPESAFE_BY_RCU)
		return false;
	else
		kasan_report_invalid_free(object, ip, KASAN_REPORT_DOUBLE_FREE);
	return true;
}

/* NULL: it is not to be freed. */
static noinline void *untag_object(struct kmem_cache *cache, struct page *page, void *object, unsigned long ip)
{
	if (nearest_obj(cache, page, object) != kasan_reset_tag(object) || !kasan_byte_accessible(object)) {
		kasan_free_unusual(cache, page, object, ip);
		return NULL;
	}
	kasan_poison(object, ALIGN(cache->object_size, (unsigned int)KASAN_GRANULE_SIZE), KASAN_SLAB_FREE);
	return object;
}

/* At the start of a slot, or of what would be one behind the last: that has no object's shadow. */
static inline __attribute__((always_inline)) bool is_usual(struct kmem_cache *cache, struct page *page, const void *object)
{
	u32 offset = (u32)(unsigned long)object - (u32)(page_to_pfn(page) << PAGE_SHIFT) - cache->red_left_pad;

	return (u32)((u64)offset * cache->reciprocal_size >> 32) * cache->size == offset && !(cache->flags & SLAB_TYPESAFE_BY_RCU);
}

noinline bool __kasan_slab_free(struct kmem_cache *cache, struct page *page, void *object, unsigned long ip)
{
	struct kasan_free_meta *meta;
	u64 hash;

	if (unlikely(kasan_tags()) && !(cache->flags & SLAB_TYPESAFE_BY_RCU)) {
		object = untag_object(cache, page, object, ip);
		return !object || kasan_save_free_info(object, 0);
	}
	if (unlikely(!is_usual(cache, page, object) || *generic_shadow(object) >= 8)) /* in the tag modes too: that of RCU */
		return kasan_free_unusual(cache, page, object, ip);
	fill_shadow(generic_shadow(object), (cache->object_size + 7) / 8, KASAN_SLAB_FREE);
	*generic_shadow(object) = KASAN_SLAB_FREETRACK;
	meta = kasan_get_free_meta(cache, object);
	if (unlikely(!set_recent_track(&meta->free_track, &hash)))
		return kasan_save_free_info(object, hash);
	kasan_quarantine_put(&meta->quarantine_link, cache->size);
	return true;
}

void __kasan_kfree_large(void *ptr, unsigned long ip)
{
	if (ptr != page_address(virt_to_head_page(ptr)))
		kasan_report_invalid_free(ptr, ip, KASAN_REPORT_INVALID_FREE);
	else if (!kasan_byte_accessible(ptr))
		kasan_report_invalid_free(ptr, ip, KASAN_REPORT_DOUBLE_FREE);
}

noinline bool __kasan_check_byte(const void *addr, unsigned long ip)
{
	if (kasan_byte_accessible(addr))
		return true;
	kasan_report((unsigned long)addr, 1, false, ip);
	return false;
}
