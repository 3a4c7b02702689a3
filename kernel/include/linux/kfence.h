/*
 * KFENCE: a sample of slab objects, each on a page of its own between guard pages.
 * Mirrors Linux 6.1 include/linux/kfence.h.
 */
#ifndef _LINUX_KFENCE_H
#define _LINUX_KFENCE_H
#include <asm/layout.h>
#include <linux/types.h>

#define CONFIG_KFENCE_NUM_OBJECTS 255
/* Object i is page 2 i + 2 of the pool; the odd pages, and page 0, are guards. */
#define KFENCE_POOL_SIZE ((CONFIG_KFENCE_NUM_OBJECTS + 1) * 2UL * PAGE_SIZE)

struct kmem_cache;
struct pt_regs;

extern char *__kfence_pool;
extern unsigned long kfence_sample_interval; /* ms */
/* The next slab allocation may be a sample. */
extern bool kfence_gate_open;

static inline bool is_kfence_address(const void *addr)
{
	return unlikely((unsigned long)((const char *)addr - __kfence_pool) < KFENCE_POOL_SIZE && __kfence_pool);
}

void kfence_init(void);
void *__kfence_alloc(struct kmem_cache *s, size_t size, gfp_t flags);
void __kfence_free(void *addr);
static inline __attribute__((always_inline)) void *kfence_alloc(struct kmem_cache *s, size_t size, gfp_t flags)
{
	return unlikely(kfence_gate_open) ? __kfence_alloc(s, size, flags) : NULL;
}
/* True: it was an object of the pool, and that is all there is to its free. */
static inline __attribute__((always_inline)) bool kfence_free(void *addr)
{
	if (!is_kfence_address(addr))
		return false;
	__kfence_free(addr);
	return true;
}
/* A cache goes away: what is still allocated of it becomes a zombie, which nothing may touch. */
void kfence_shutdown_cache(struct kmem_cache *s);
size_t kfence_ksize(const void *addr);
void *kfence_object_start(const void *addr);
/* A fault of the kernel in the pool: it has been reported, and the access may be made, when this returns true. */
bool kfence_handle_page_fault(unsigned long addr, bool is_write, struct pt_regs *regs);
#endif
