/*
 * Generic mode. The checks: the CPU's, which arrive as exception 22 (docs/kasan.md), and the same in software, for
 * memory that a function is told to use and for instrumented code. And who allocated and freed what. An object's slot:
 *
 *   object | struct kasan_alloc_meta | (struct kasan_free_meta, when the free object has no room for it) | red zone
 *
 * Shadow: fc where nothing is, 00 the object, fb free; fa in the first granule of a free object whose free_track holds.
 * Mirrors Linux 6.1 mm/kasan/generic.c.
 */
#include "quarantine.h"
#include "shadow.h"
#include "track.h"
#include <asm/stacktrace.h>
#include <linux/module.h>

#define MSR_SHADOW_ADDRESS 0x4c414204
#define MSR_SHADOW_SIZE 0x4c414205

extern char __memory_text_start[], __memory_text_end[];

static inline __attribute__((always_inline)) bool is_zero(const u8 *shadow, size_t count)
{
	const u8 *end = shadow + count;

	if (count >= 8) {
		for (; shadow < end - 8; shadow += 8)
			if (*(const u64 *)shadow)
				return false;
		return !*(const u64 *)(end - 8);
	}
	if (count & 4)
		return !(*(const u32 *)shadow | *(const u32 *)(end - 4));
	return !count || !(*shadow | (count & 2 ? *(const u16 *)(end - 2) : 0));
}

static inline __attribute__((always_inline)) bool range_is_poisoned(unsigned long addr, size_t size)
{
	unsigned long end = addr + size - 1;
	const u8 *shadow = generic_shadow((void *)addr), *last = generic_shadow((void *)end);

	return !is_zero(shadow, last - shadow) || (*last && (*last >= 8 || (end & 7) >= *last));
}

static noinline bool kasan_check_any_range(unsigned long addr, size_t size, bool write, unsigned long ret_ip)
{
	if (!kasan_enabled || !size)
		return true;
	if (kasan_tags() ? kasan_tags_match(addr, size) : addr + size >= addr && addr_has_metadata(addr) && !range_is_poisoned(addr, size))
		return true;
	return !kasan_report(addr, size, write, ret_ip);
}

noinline bool kasan_check_range(unsigned long addr, size_t size, bool write, unsigned long ret_ip)
{
	/* most ranges are a granule or part of one */
	if (likely(kasan_enabled && !kasan_tags() && size - 1 < 8 && addr_has_metadata(addr) && ((addr + size - 1) ^ addr) < 8 && !*generic_shadow((void *)addr)))
		return true;
	return kasan_check_any_range(addr, size, write, ret_ip);
}

/*
 * The CPU refuses an access. Returning makes it all the same, RF being set. But memset() and its like, which are one
 * instruction, return NULL to their caller, whose fault it is: as they do in Linux when they find that out themselves.
 */
void exc_shadow_check(struct pt_regs *regs, long error_code)
{
	unsigned long addr = rdmsrl(MSR_SHADOW_ADDRESS), size = rdmsrl(MSR_SHADOW_SIZE), *sp = (unsigned long *)regs->sp;
	bool in_memory_function = regs->ip >= (unsigned long)__memory_text_start && regs->ip < (unsigned long)__memory_text_end;

	regs->orig_ax = ORIG_AX_SHADOW_CHECK;
	if (kasan_kind == KASAN_HW_TAGS) { /* Arm's processors do not say how much it was, and do not know functions */
		kasan_report(addr, 0, error_code & 1, regs->ip);
		kasan_stop_cpu(); /* this processor does not compare any more (Linux arch/arm64/mm/fault.c) */
		return;
	}
	if (!kasan_report(addr, size, error_code & 1, in_memory_function ? *sp : regs->ip) || !in_memory_function)
		return;
	regs->ip = *sp;
	regs->sp += sizeof(*sp);
	regs->ax = 0;
	regs->flags &= ~X86_EFLAGS_DF;
}

noinline bool kasan_save_free_info(void *object, u64 hash)
{
	struct kmem_cache *cache = virt_to_head_page(object)->slab_cache;
	struct kasan_free_meta *meta;

	if (kasan_tags()) {
		save_stack_info(cache, object, true);
		return false;
	}
	meta = kasan_get_free_meta(cache, object);
	kasan_set_track(&meta->free_track, hash, object);
	kasan_quarantine_put(&meta->quarantine_link, cache->size);
	return true;
}

/* Red zones grow with objects: an overrun of an array of them is long. */
static unsigned int optimal_redzone(unsigned int size)
{
	return size <= 64 - 16 ? 16 : size <= 128 - 32 ? 32 : size <= 512 - 64 ? 64 : size <= 4096 - 128 ? 128 : size <= (1 << 14) - 256 ? 256 : 512;
}

void __kasan_cache_create(struct kmem_cache *cache, unsigned int *size)
{
	unsigned int optimal = cache->object_size + optimal_redzone(cache->object_size) + cache->red_left_pad;

	if (kasan_tags()) { /* a neighbour's tag is as good as a red zone */
		cache->align = max(cache->align, (unsigned int)KASAN_GRANULE_SIZE);
		*size = ALIGN(*size, (unsigned int)KASAN_GRANULE_SIZE);
		return;
	}
	*size = ALIGN(*size, 8u);
	cache->kasan_info.alloc_meta_offset = *size - cache->red_left_pad;
	*size += sizeof(struct kasan_alloc_meta);
	if (cache->ctor || cache->object_size < sizeof(struct kasan_free_meta) || cache->flags & SLAB_DEBUG_FLAGS) {
		cache->kasan_info.free_meta_offset = *size - cache->red_left_pad;
		*size += sizeof(struct kasan_free_meta);
	}
	*size = max(*size, optimal);
}
EXPORT_SYMBOL(kasan_check_range);
