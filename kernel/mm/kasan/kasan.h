/* What the files of KASAN share. Its code may touch poisoned memory (vmlinux.lds): what it calls must not be told. */
#ifndef _MM_KASAN_H
#define _MM_KASAN_H
#include <asm/processor.h>
#include <linux/kasan.h>
#include <linux/sched.h>
#include <linux/stackdepot.h>
#include "../slab.h"

#define KASAN_GRANULE_MASK (KASAN_GRANULE_SIZE - 1)
#define META_BYTES_PER_ROW 16
#define META_MEM_BYTES_PER_ROW (META_BYTES_PER_ROW * KASAN_GRANULE_SIZE)
/* Shadow bytes (Linux 6.1 mm/kasan/kasan.h); those of stacks and globals are the compiler's. */
/* In the tag modes all of these are KASAN_TAG_INVALID. */
#define KASAN_PAGE_FREE 0xff
#define KASAN_PAGE_REDZONE 0xfe
#define KASAN_SLAB_REDZONE 0xfc
#define KASAN_SLAB_FREE 0xfb
#define KASAN_SLAB_FREETRACK 0xfa	/* free, and who freed it is in the object */
#define KASAN_GLOBAL_REDZONE 0xf9
#define KASAN_VMALLOC_INVALID 0xf8
#define KASAN_STACK_LEFT 0xf1
#define KASAN_STACK_MID 0xf2
#define KASAN_STACK_RIGHT 0xf3
#define KASAN_STACK_PARTIAL 0xf4
#define KASAN_ALLOCA_LEFT 0xca
#define KASAN_ALLOCA_RIGHT 0xcb
#define KASAN_CURRENT_STACK_FRAME_MAGIC 0x41b58ab3

struct kasan_track { u32 pid; depot_stack_handle_t stack; };
struct kasan_alloc_meta { struct kasan_track alloc_track; depot_stack_handle_t aux_stack[2]; };
struct qlist_node { struct qlist_node *next; };
struct kasan_free_meta { struct qlist_node quarantine_link; struct kasan_track free_track; };

enum kasan_report_type { KASAN_REPORT_ACCESS, KASAN_REPORT_INVALID_FREE, KASAN_REPORT_DOUBLE_FREE };
struct kasan_report_info {
	enum kasan_report_type type;
	unsigned long access_addr, first_bad_addr;
	size_t access_size;
	bool is_write;
	unsigned long ip;
	struct kmem_cache *cache;
	void *object;
	/* What the mode knows; the kinds of bad frees are set before. */
	const char *bug_type;
	struct kasan_track alloc_track, free_track;
};

static inline bool addr_has_metadata(unsigned long addr)
{
	return addr >= 0xffff800000000000;
}
static inline u8 *shadow_of(const void *addr)
{
	return kasan_mem_to_shadow(kasan_reset_tag(addr));
}
static inline struct kasan_alloc_meta *kasan_get_alloc_meta(struct kmem_cache *cache, const void *object)
{
	return (void *)((char *)object + cache->kasan_info.alloc_meta_offset);
}
static inline struct kasan_free_meta *kasan_get_free_meta(struct kmem_cache *cache, const void *object)
{
	return (void *)((char *)object + cache->kasan_info.free_meta_offset);
}

/*
 * Both ends of a poisoned range lie on granules; an unpoisoned one may end inside one. In the tag modes it is given the
 * tag of addr.
 */
void kasan_poison(const void *addr, size_t size, u8 value);
void kasan_unpoison(const void *addr, size_t size);
void kasan_tag_pages(struct page *page, unsigned int order);
bool kasan_byte_accessible(const void *addr);
void kasan_init_shadow_words(void);

/* Returns the object. */
void *kasan_save_alloc_info(void *object);
/* Where no recent stack has the hash. True: the object is in the quarantine then. */
bool kasan_save_free_info(void *object, u64 hash);
/* The object of a slab that an address lies in, or in whose slot. */
static inline void *nearest_obj(struct kmem_cache *cache, struct page *page, const void *addr)
{
	char *base = __va(page_to_pfn(page) << PAGE_SHIFT); /* without the tag test: slabs have none */
	unsigned int index = (unsigned int)((char *)kasan_reset_tag(addr) - base) / cache->size;

	return base + min(index, page->objects - 1u) * cache->size + cache->red_left_pad;
}
/* mm/slub.c: frees a list of objects that nobody waits for any more. The link lies in the free object, or behind it. */
void qlist_free_all(struct qlist_node *link);

void kasan_report_invalid_free(void *ptr, unsigned long ip, enum kasan_report_type type);

/* Tag modes: tags.c. */
u8 kasan_random_tag(void);
void kasan_init_tags(void *(*alloc)(unsigned long size));
void save_stack_info(struct kmem_cache *cache, void *object, bool is_free);
bool kasan_tags_match(unsigned long addr, size_t size);
extern bool kasan_vmalloc_tags;
/* hw_tags.c: bits of the CPU's control register. */
u64 kasan_hw_control(void);
const char *kasan_mode_name(void);
/* report_tags.c: as those of a report below. */
unsigned long kasan_tags_find_first_bad_addr(unsigned long addr, size_t size);
void kasan_tags_complete_report_info(struct kasan_report_info *info);
void kasan_print_tags(const struct kasan_report_info *info);
void kasan_report_async(void);

/* What a report asks the mode (report_generic.c): where exactly, what kind and who, and the bytes of a row. */
unsigned long kasan_find_first_bad_addr(unsigned long addr, size_t size);
void kasan_complete_mode_report_info(struct kasan_report_info *info);
void kasan_metadata_fetch_row(u8 *buffer, void *row);
void kasan_print_address_stack_frame(const void *addr);
bool object_is_on_stack(const void *addr);
extern bool kasan_stacktrace;
#endif
