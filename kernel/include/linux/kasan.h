/*
 * KASAN: what the allocators tell it, and pointers' tags. Everything is a test of one variable when it is off.
 * Mirrors Linux 6.1 include/linux/kasan.h.
 */
#ifndef _LINUX_KASAN_H
#define _LINUX_KASAN_H
#include <linux/types.h>

/* Linux decides it when the kernel is built, here `kasan=` does (mm/kasan/init.c). */
enum kasan_kind { KASAN_GENERIC, KASAN_SW_TAGS, KASAN_HW_TAGS };
#define KASAN_GENERIC_OFFSET 0xdffffc0000000000
#ifdef CONFIG_KASAN_STACK /* the compiler knows one shadow only */
#define kasan_kind KASAN_GENERIC
#define KASAN_SHADOW_SCALE_SHIFT 3
#define KASAN_SHADOW_OFFSET KASAN_GENERIC_OFFSET
#else
extern enum kasan_kind kasan_kind;
extern unsigned int kasan_shadow_scale_shift;
extern unsigned long kasan_shadow_offset;
#define KASAN_SHADOW_SCALE_SHIFT kasan_shadow_scale_shift
#define KASAN_SHADOW_OFFSET kasan_shadow_offset
#endif
#define KASAN_GRANULE_SIZE (1UL << KASAN_SHADOW_SCALE_SHIFT)
/* The shadow of the upper half of the address space. */
#define KASAN_SHADOW_START (KASAN_SHADOW_OFFSET + (0xffff800000000000 >> KASAN_SHADOW_SCALE_SHIFT))
#define KASAN_SHADOW_END (KASAN_SHADOW_OFFSET + (1UL << (64 - KASAN_SHADOW_SCALE_SHIFT)))

struct page;
struct kmem_cache;
struct pt_regs;

/* A pointer's tag is its top byte. FFh, what every pointer has that nobody tagged, matches all memory. */
#define KASAN_TAG_KERNEL 0xff
#define KASAN_TAG_INVALID 0xfe	/* of memory that nobody has */
#define KASAN_TAG_MAX 0xfd
static inline bool kasan_tags(void)
{
	return kasan_kind != KASAN_GENERIC;
}
/* Bit 55 says whose half of the address space it is: NULL stays NULL. */
static inline void *kasan_reset_tag(const void *addr)
{
	return (void *)((long)((unsigned long)addr << 8) >> 8);
}
static inline void *kasan_set_tag(const void *addr, u8 tag)
{
	return (void *)(((unsigned long)addr & ~(0xffUL << 56)) | (unsigned long)tag << 56);
}
static inline u8 kasan_get_tag(const void *addr)
{
	return (unsigned long)addr >> 56;
}

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
/* Hardware tags: every CPU compares again, for tests that go on after a report. */
void kasan_enable_hw_tags(void);
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
void __kasan_cache_create(struct kmem_cache *cache, unsigned int *size);
void __kasan_poison_slab(struct page *page);
/* These return the pointer that is to be used from now on. */
void *__kasan_slab_alloc(struct kmem_cache *cache, void *object);
void *__kasan_kmalloc(struct kmem_cache *cache, void *object, size_t size);
void *__kasan_kmalloc_large(void *ptr, size_t size);
void *__kasan_krealloc(void *object, size_t size);
/* True: the object is not the allocator's yet (quarantine), or must never be (a bad free). */
bool __kasan_slab_free(struct kmem_cache *cache, struct page *page, void *object, unsigned long ip);
void __kasan_kfree_large(void *ptr, unsigned long ip);
void kasan_quarantine_remove_cache(struct kmem_cache *cache);
int __kasan_populate_vmalloc(unsigned long addr, unsigned long size);
/* pages: they are the caller's (vmap()). */
void *__kasan_unpoison_vmalloc(void *start, unsigned long size, bool pages);
/* mm/kasan/hw_tags.c: accesses of a mode that does not stop at once. Where the kernel is entered and left. */
extern bool kasan_async;
void __kasan_check_async(void);
void __kasan_poison_vmalloc(const void *start, unsigned long size);

#define KASAN_HOOK(call) do { if (unlikely(kasan_enabled)) call; } while (0)
#define kasan_unpoison_range(addr, size) KASAN_HOOK(__kasan_unpoison_range(addr, size))
#define kasan_cache_create(cache, size) KASAN_HOOK(__kasan_cache_create(cache, size))
#define kasan_poison_slab(page) KASAN_HOOK(__kasan_poison_slab(page))
#define kasan_slab_alloc(cache, object) (unlikely(kasan_enabled) ? __kasan_slab_alloc(cache, object) : (object))
#define kasan_kmalloc(cache, object, size) (unlikely(kasan_enabled) ? __kasan_kmalloc(cache, object, size) : (object))
#define kasan_kmalloc_large(ptr, size) (unlikely(kasan_enabled) ? __kasan_kmalloc_large(ptr, size) : (ptr))
#define kasan_krealloc(object, size) (unlikely(kasan_enabled) ? __kasan_krealloc(object, size) : (object))
#define kasan_slab_free(cache, page, object, ip) (unlikely(kasan_enabled) && __kasan_slab_free(cache, page, object, ip))
#define kasan_kfree_large(ptr, ip) KASAN_HOOK(__kasan_kfree_large(ptr, ip))
#define kasan_populate_vmalloc(addr, size) (unlikely(kasan_enabled) ? __kasan_populate_vmalloc(addr, size) : 0)
#define kasan_unpoison_vmalloc(start, size, pages) (unlikely(kasan_enabled) ? __kasan_unpoison_vmalloc(start, size, pages) : (start))
#define kasan_poison_vmalloc(start, size) KASAN_HOOK(__kasan_poison_vmalloc(start, size))
#define kasan_check_read(p, n) (!unlikely(kasan_enabled) || kasan_check_range((unsigned long)(p), n, false, (unsigned long)__builtin_return_address(0)))
#define kasan_check_write(p, n) (!unlikely(kasan_enabled) || kasan_check_range((unsigned long)(p), n, true, (unsigned long)__builtin_return_address(0)))
#define kasan_check_async() do { if (unlikely(kasan_async)) __kasan_check_async(); } while (0)
#define kasan_check_byte(p) (!unlikely(kasan_enabled) || __kasan_check_byte(p, (unsigned long)__builtin_return_address(0)))
#endif
