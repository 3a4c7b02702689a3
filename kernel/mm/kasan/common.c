/* What the allocators tell KASAN of slabs and large kmallocs, in every mode. Mirrors Linux 6.1 mm/kasan/common.c. */
#include "kasan.h"
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

/*
 * Every allocation and every free asks for its stack, and nearly all of them are asked for again and again. So a hash
 * of the return addresses along the frame pointers, which the whole kernel keeps, is looked up first, and only what is
 * not there is unwound. An entry is the hash, with the handle of the stack in place of its low bits.
 */
#define RECENT_SETS 1024
#define RECENT_WAYS 4
#define HANDLE_MASK ((1UL << DEPOT_HANDLE_BITS) - 1)
static u64 recent_stacks[RECENT_SETS][RECENT_WAYS];

/* 0 on an interrupt's or exception's stack. */
static inline __attribute__((always_inline)) u64 hash_frames(const unsigned long *frame)
{
	unsigned long end = (unsigned long)current->stack + THREAD_SIZE - 2 * sizeof(*frame);
	u64 hash = 0;

	if (!object_is_on_stack(frame))
		return 0;
	for (;;) {
		const unsigned long *next = (const unsigned long *)frame[0];

		hash = (hash ^ frame[1]) * 0x9e3779b97f4a7c15;
		if (next <= frame || (unsigned long)next > end)
			return hash ^ hash >> 32;
		frame = next;
	}
}

noinline depot_stack_handle_t kasan_save_stack(void)
{
	unsigned long entries[64];
	u64 hash = hash_frames(__builtin_frame_address(0)), *recent = recent_stacks[hash % RECENT_SETS];
	depot_stack_handle_t handle;

	for (int way = 0; hash && way < RECENT_WAYS; way++) {
		u64 seen = READ_ONCE(recent[way]);

		if ((seen ^ hash) <= HANDLE_MASK)
			return seen & HANDLE_MASK;
	}
	handle = stack_depot_save(entries, stack_trace_save(entries, ARRAY_SIZE(entries), 0));
	if (!hash || !handle)
		return handle;
	for (int way = RECENT_WAYS - 1; way > 0; way--)
		WRITE_ONCE(recent[way], recent[way - 1]);
	WRITE_ONCE(recent[0], (hash & ~HANDLE_MASK) | handle);
	return handle;
}

noinline void kasan_set_track(struct kasan_track *track)
{
	track->pid = current->pid;
	track->stack = kasan_stacktrace ? kasan_save_stack() : 0;
}

void __kasan_poison_slab(struct page *page)
{
	kasan_poison(page_address(page), PAGE_SIZE << compound_order(page), KASAN_SLAB_REDZONE);
}

noinline void *__kasan_slab_alloc(struct kmem_cache *cache, void *object)
{
	if (is_kfence_address(object))
		return object;
	kasan_quarantine_reduce();
	if (kasan_tags())
		object = kasan_set_tag(object, kasan_random_tag());
	kasan_unpoison(object, cache->object_size);
	if (!cache->kasan_info.is_kmalloc)
		save_alloc_info(cache, object);
	return object;
}

noinline void *__kasan_kmalloc(struct kmem_cache *cache, void *object, size_t size)
{
	char *from = (char *)ALIGN((unsigned long)object + size, KASAN_GRANULE_SIZE);
	char *to = (char *)object + ALIGN(cache->object_size, (unsigned int)KASAN_GRANULE_SIZE);

	if (is_kfence_address(object))
		return object;
	kasan_unpoison(object, size);
	kasan_poison(from, to - from, KASAN_SLAB_REDZONE);
	save_alloc_info(cache, object);
	return object;
}

void *__kasan_kmalloc_large(void *ptr, size_t size)
{
	struct page *page = virt_to_page(ptr);
	unsigned long from;

	kasan_quarantine_reduce();
	if (kasan_tags() && kasan_get_tag(ptr) == KASAN_TAG_KERNEL)
		ptr = kasan_set_tag(ptr, kasan_random_tag());
	from = ALIGN((unsigned long)ptr + size, KASAN_GRANULE_SIZE);
	kasan_unpoison(ptr, size);
	kasan_poison((void *)from, (unsigned long)ptr + (PAGE_SIZE << compound_order(page)) - from, KASAN_PAGE_REDZONE);
	return ptr;
}

void *__kasan_krealloc(void *object, size_t size)
{
	struct page *page = virt_to_head_page(object);

	if (is_kfence_address(object))
		return object;
	kasan_unpoison(object, size);
	return PageSlab(page) ? __kasan_kmalloc(page->slab_cache, object, size) : __kasan_kmalloc_large(object, size);
}

/* The object of a slab that an address lies in, or in whose slot. */
void *nearest_obj(struct kmem_cache *cache, struct page *page, const void *addr)
{
	char *base = page_address(page);
	unsigned long index = ((char *)kasan_reset_tag(addr) - base) / cache->size;

	return base + min(index, (unsigned long)page->objects - 1) * cache->size + cache->red_left_pad;
}

noinline bool __kasan_slab_free(struct kmem_cache *cache, void *object, unsigned long ip)
{
	if (unlikely(nearest_obj(cache, virt_to_head_page(object), object) != kasan_reset_tag(object))) {
		kasan_report_invalid_free(object, ip, KASAN_REPORT_INVALID_FREE);
		return true;
	}
	if (unlikely(cache->flags & SLAB_TYPESAFE_BY_RCU)) /* may be looked at for a while yet */
		return false;
	if (unlikely(!kasan_byte_accessible(object))) {
		kasan_report_invalid_free(object, ip, KASAN_REPORT_DOUBLE_FREE);
		return true;
	}
	kasan_poison(object, ALIGN(cache->object_size, (unsigned int)KASAN_GRANULE_SIZE), KASAN_SLAB_FREE);
	kasan_save_free_info(cache, object);
	return !kasan_tags() && kasan_quarantine_put(cache, object);
}

void __kasan_kfree_large(void *ptr, unsigned long ip)
{
	if (kasan_reset_tag(ptr) != page_address(virt_to_head_page(ptr)))
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
