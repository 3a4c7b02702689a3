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

noinline depot_stack_handle_t kasan_save_stack(void)
{
	unsigned long entries[64];
	unsigned int count = stack_trace_save(entries, ARRAY_SIZE(entries), 0);

	return stack_depot_save(entries, count);
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
