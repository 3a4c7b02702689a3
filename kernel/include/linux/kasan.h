/*
 * KASAN, generic mode: what the allocators tell it. Everything is a test of one variable when it is off.
 * Mirrors Linux 6.1 include/linux/kasan.h.
 */
#ifndef _LINUX_KASAN_H
#define _LINUX_KASAN_H
#include <linux/types.h>

#define KASAN_SHADOW_SCALE_SHIFT 3
#define KASAN_SHADOW_OFFSET 0xdffffc0000000000
#define KASAN_GRANULE_SIZE 8UL
/* The shadow of the upper half of the address space. */
#define KASAN_SHADOW_START (KASAN_SHADOW_OFFSET + (0xffff800000000000 >> KASAN_SHADOW_SCALE_SHIFT))
#define KASAN_SHADOW_END (KASAN_SHADOW_OFFSET + (1UL << (64 - KASAN_SHADOW_SCALE_SHIFT)))

struct page;
struct kmem_cache;
struct pt_regs;

static inline void *kasan_mem_to_shadow(const void *addr)
{
	return (void *)(((unsigned long)addr >> KASAN_SHADOW_SCALE_SHIFT) + KASAN_SHADOW_OFFSET);
}
static inline void *kasan_shadow_to_mem(const void *shadow)
{
	return (void *)(((unsigned long)shadow - KASAN_SHADOW_OFFSET) << KASAN_SHADOW_SCALE_SHIFT);
}

/* `kasan=on`: the shadow is mapped and kept. */
extern bool kasan_enabled;
/* Accesses are looked at, by the CPU or by instrumented code. */
extern bool kasan_checked;
/* Before anything else in C. */
void kasan_early_init(void);
/* Maps the shadow; alloc gives zeroed memory that is never freed. Before the page allocator has anything. */
void kasan_init(void *(*alloc)(unsigned long size));
/* This CPU checks from now on, if it can; and no longer. */
void kasan_init_cpu(void);
void kasan_stop_cpu(void);
/* Between these the current task's accesses are not reported. */
void kasan_disable_current(void);
void kasan_enable_current(void);

bool kasan_check_range(unsigned long addr, size_t size, bool write, unsigned long ret_ip);
bool __kasan_check_byte(const void *addr, unsigned long ip);
void kasan_non_canonical_hook(unsigned long addr);
bool kasan_save_enable_multi_shot(void);
void kasan_restore_multi_shot(bool enabled);
bool kasan_report(unsigned long addr, size_t size, bool is_write, unsigned long ip);

void __kasan_unpoison_range(const void *addr, size_t size);
void __kasan_unpoison_pages(struct page *page, unsigned int order);
void __kasan_poison_pages(struct page *page, unsigned int order);
void __kasan_cache_create(struct kmem_cache *cache, unsigned int *size);
void __kasan_poison_slab(struct page *page);
void __kasan_slab_alloc(struct kmem_cache *cache, void *object);
void __kasan_kmalloc(struct kmem_cache *cache, const void *object, size_t size);
void __kasan_kmalloc_large(const void *ptr, size_t size);
void __kasan_krealloc(const void *object, size_t size);
/* True: the object is not the allocator's yet (quarantine), or must never be (a bad free). */
bool __kasan_slab_free(struct kmem_cache *cache, void *object, unsigned long ip);
void __kasan_kfree_large(void *ptr, unsigned long ip);
void kasan_quarantine_remove_cache(struct kmem_cache *cache);
int __kasan_populate_vmalloc(unsigned long addr, unsigned long size);
void __kasan_unpoison_vmalloc(const void *start, unsigned long size);
void __kasan_poison_vmalloc(const void *start, unsigned long size);

#define KASAN_HOOK(call) do { if (unlikely(kasan_enabled)) call; } while (0)
#define kasan_unpoison_range(addr, size) KASAN_HOOK(__kasan_unpoison_range(addr, size))
#define kasan_unpoison_pages(page, order) KASAN_HOOK(__kasan_unpoison_pages(page, order))
#define kasan_poison_pages(page, order) KASAN_HOOK(__kasan_poison_pages(page, order))
#define kasan_cache_create(cache, size) KASAN_HOOK(__kasan_cache_create(cache, size))
#define kasan_poison_slab(page) KASAN_HOOK(__kasan_poison_slab(page))
#define kasan_slab_alloc(cache, object) KASAN_HOOK(__kasan_slab_alloc(cache, object))
#define kasan_kmalloc(cache, object, size) KASAN_HOOK(__kasan_kmalloc(cache, object, size))
#define kasan_kmalloc_large(ptr, size) KASAN_HOOK(__kasan_kmalloc_large(ptr, size))
#define kasan_krealloc(object, size) KASAN_HOOK(__kasan_krealloc(object, size))
#define kasan_slab_free(cache, object, ip) (unlikely(kasan_enabled) && __kasan_slab_free(cache, object, ip))
#define kasan_kfree_large(ptr, ip) KASAN_HOOK(__kasan_kfree_large(ptr, ip))
#define kasan_populate_vmalloc(addr, size) (unlikely(kasan_enabled) ? __kasan_populate_vmalloc(addr, size) : 0)
#define kasan_unpoison_vmalloc(start, size) KASAN_HOOK(__kasan_unpoison_vmalloc(start, size))
#define kasan_poison_vmalloc(start, size) KASAN_HOOK(__kasan_poison_vmalloc(start, size))
#define kasan_check_read(p, n) (!unlikely(kasan_enabled) || kasan_check_range((unsigned long)(p), n, false, (unsigned long)__builtin_return_address(0)))
#define kasan_check_write(p, n) (!unlikely(kasan_enabled) || kasan_check_range((unsigned long)(p), n, true, (unsigned long)__builtin_return_address(0)))
#define kasan_check_byte(p) (!unlikely(kasan_enabled) || __kasan_check_byte(p, (unsigned long)__builtin_return_address(0)))
#endif
