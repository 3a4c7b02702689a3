/* What the allocators tell KASAN of slabs and large kmallocs, in every mode. Mirrors Linux 6.1 mm/kasan/common.c. */
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

noinline void kasan_set_track(struct kasan_track *track, u64 hash)
{
	track->stack = kasan_save_stack(hash);
}

/* Its objects have tags, the pages have none. */
void __kasan_poison_slab(struct page *page)
{
	unsigned int order = compound_order(page);

	for (unsigned long i = 0; kasan_tags() && i < 1UL << order; i++)
		page_kasan_tag_set(page + i, KASAN_TAG_KERNEL);
	kasan_poison(page_address(page), PAGE_SIZE << order, KASAN_SLAB_REDZONE);
}

/* Part of its caller: Linux's traces of generic mode do not have it. */
static inline __attribute__((always_inline)) void save_alloc_track(struct kmem_cache *cache, void *object)
{
	struct kasan_track *track = &kasan_get_alloc_meta(cache, object)->alloc_track;
	u64 hash;

	if (!set_recent_track(track, &hash))
		kasan_set_track(track, hash);
}

/* What size leaves of the object is red zone. */
static inline __attribute__((always_inline)) void resize_object(struct kmem_cache *cache, void *object, size_t size)
{
	unsigned long used, all;

	if (!kasan_tags()) {
		fill_object_shadow(object, size, cache->object_size, KASAN_SLAB_REDZONE);
		save_alloc_track(cache, object);
		return;
	}
	used = ALIGN(size, KASAN_GRANULE_SIZE);
	all = ALIGN(cache->object_size, (unsigned int)KASAN_GRANULE_SIZE);
	kasan_unpoison(object, size);
	kasan_poison((char *)object + used, all - used, KASAN_SLAB_REDZONE);
	kasan_save_alloc_info(cache, object);
}

/* As large as its cache says. */
noinline void *__kasan_slab_alloc(struct kmem_cache *cache, void *object)
{
	kasan_quarantine_reduce();
	if (kasan_tags())
		object = kasan_set_tag(object, kasan_random_tag());
	resize_object(cache, object, cache->object_size);
	return object;
}

noinline void *__kasan_kmalloc(struct kmem_cache *cache, void *object, size_t size)
{
	kasan_quarantine_reduce();
	if (kasan_tags())
		object = kasan_set_tag(object, kasan_random_tag());
	resize_object(cache, object, size);
	return object;
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
	kasan_quarantine_reduce();
	resize_large(ptr, size);
	return ptr;
}

noinline void *__kasan_krealloc(void *object, size_t size)
{
	struct page *page = virt_to_head_page(object);

	if (is_kfence_address(object))
		return object;
	if (PageSlab(page))
		resize_object(page->slab_cache, object, size);
	else
		resize_large(object, size);
	return object;
}

noinline bool __kasan_slab_free(struct kmem_cache *cache, struct page *page, void *object, unsigned long ip)
{
	bool accessible = kasan_tags() ? kasan_byte_accessible(object) : *generic_shadow(object) < 8;
	struct kasan_track *track;
	u64 hash;

	if (unlikely(nearest_obj(cache, page, object) != kasan_reset_tag(object))) {
		kasan_report_invalid_free(object, ip, KASAN_REPORT_INVALID_FREE);
		return true;
	}
	if (unlikely(cache->flags & SLAB_TYPESAFE_BY_RCU)) /* may be looked at for a while yet */
		return false;
	if (unlikely(!accessible)) {
		kasan_report_invalid_free(object, ip, KASAN_REPORT_DOUBLE_FREE);
		return true;
	}
	if (kasan_tags()) {
		kasan_poison(object, ALIGN(cache->object_size, (unsigned int)KASAN_GRANULE_SIZE), KASAN_SLAB_FREE);
		kasan_save_free_info(cache, object, 0);
		return false;
	}
	fill_object_shadow(object, 0, cache->object_size, KASAN_SLAB_FREE);
	*generic_shadow(object) = KASAN_SLAB_FREETRACK;
	track = &kasan_get_free_meta(cache, object)->free_track;
	if (!set_recent_track(track, &hash))
		kasan_save_free_info(cache, object, hash);
	kasan_quarantine_put(cache, object);
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
