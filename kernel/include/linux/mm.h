/* Memory: pages, slabs, vmalloc, user address spaces. */
#ifndef _LINUX_MM_H
#define _LINUX_MM_H
#include <asm/layout.h>
#include <linux/kasan.h>
#include <linux/mm_types.h>
#include <linux/usercopy.h>

#define __GFP_ZERO 0x100u
#define __GFP_DIRECT_RECLAIM 0x400u
#define __GFP_KSWAPD_RECLAIM 0x800u
#define __GFP_NOWARN 0x2000u
#define __GFP_NOFAIL 0x8000u
#define __GFP_COMP 0x40000u
#define GFP_KERNEL 0xcc0u
/* May not wait: a failure is the caller's. */
#define GFP_ATOMIC 0xa20u
#define __va(p) ((void *)(PAGE_OFFSET + (unsigned long)(p)))
extern unsigned long phys_base; /* how far from its link address the image lies */
static inline __attribute__((always_inline)) unsigned long __phys_addr(unsigned long v)
{
	return v >= __START_KERNEL_map ? v - __START_KERNEL_map + phys_base : v - PAGE_OFFSET;
}
/* Whatever tag the pointer has. */
#define __pa(v) __phys_addr((unsigned long)(v) | 0xffUL << 56)
#define pfn_to_page(n) ((struct page *)VMEMMAP_START + (n))
#define page_to_pfn(p) ((unsigned long)((p) - (struct page *)VMEMMAP_START))
static inline struct page *compound_head(struct page *page)
{
	return page->compound_head & 1 ? (struct page *)(page->compound_head - 1) : page;
}
static inline bool PageCompound(const struct page *page)
{
	return page->flags & 1UL << PG_head || page->compound_head & 1;
}
static inline unsigned int compound_order(struct page *page)
{
	return page->flags & 1UL << PG_head ? page[1].compound_order : 0;
}
#define virt_to_page(v) pfn_to_page(__pa(v) >> PAGE_SHIFT)
/* Where nothing else can be meant, and without a tag. */
#define direct_map_to_page(v) pfn_to_page(((unsigned long)(v) - PAGE_OFFSET) >> PAGE_SHIFT)

/* The tag of its memory, inverted: pages that nobody tagged have none (mm/kasan/). */
#define KASANTAG_PGSHIFT 54
#define KASANTAG_MASK 0xffUL
static inline void page_kasan_tag_set(struct page *page, u8 tag)
{
	page->flags = (page->flags & ~(KASANTAG_MASK << KASANTAG_PGSHIFT)) | (tag ^ KASANTAG_MASK) << KASANTAG_PGSHIFT;
}
static inline __attribute__((always_inline)) void *page_address(const struct page *page)
{
	void *address = __va(page_to_pfn(page) << PAGE_SHIFT);

	return unlikely(kasan_tags()) ? kasan_set_tag(address, ~(page->flags >> KASANTAG_PGSHIFT)) : address;
}

#define _PAGE_PRESENT 1UL
#define _PAGE_RW 2UL
#define _PAGE_USER 4UL
#define _PAGE_ACCESSED 0x20UL
#define _PAGE_DIRTY 0x40UL
#define _PAGE_PSE 0x80UL
#define _PAGE_GLOBAL 0x100UL
#define _PAGE_NX (1UL << 63)
#define PTE_PFN_MASK 0x000ffffffffff000UL
/* A kernel table; a kernel page, which is in every address space and is not code until set_memory_x() says so. */
#define _KERNPG_TABLE 0x63UL
#define PAGE_KERNEL (0x163UL | _PAGE_NX)

extern void *high_memory;
extern atomic_long_t _totalram_pages, vm_node_stat[NR_VM_NODE_STAT_ITEMS];

/* Pages, also of the items that Linux counts in bytes (NR_SLAB_*_B). */
static inline void mod_node_page_state(enum node_stat_item item, long pages)
{
	__atomic_fetch_add(&vm_node_stat[item].counter, pages, __ATOMIC_RELAXED);
}
extern unsigned long max_pfn, max_low_pfn, min_low_pfn;

void mm_init(unsigned long initrd_start, unsigned long initrd_end);
struct page *__alloc_pages(gfp_t gfp, unsigned int order);
#define alloc_pages(gfp, order) __alloc_pages(gfp, order)
/* `0x200(slab|zone=0)` */
const char *format_page_flags(char *buf, size_t size, unsigned long flags);
void dump_page(struct page *page, const char *reason);
/* One more who holds the page; __free_pages() gives it up. */
void get_page(struct page *page);
void __free_pages(struct page *page, unsigned int order);
/* Gives memory to the allocator that was never its own. */
void free_reserved_page(struct page *page);
unsigned long get_zeroed_page(gfp_t gfp);
void free_page(unsigned long addr);
unsigned long nr_free_pages(void);

#define __alloc_size(n) __attribute__((alloc_size(n)))
void *kmalloc(size_t size, gfp_t gfp) __alloc_size(1);
void *kzalloc(size_t size, gfp_t gfp) __alloc_size(1);
void *krealloc(const void *p, size_t size, gfp_t gfp) __alloc_size(2);
/* Zeros what it frees. */
void kfree_sensitive(const void *p);
void kfree(const void *p);
struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags, void (*ctor)(void *));
/* Only usersize bytes from useroffset on may be copied to and from programs; none of an ordinary cache's objects. */
struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
					      unsigned int useroffset, unsigned int usersize, void (*ctor)(void *));
void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *s, void *p);
void kmem_cache_init(void);
/* Slabs that are empty go back. */
void kmem_cache_shrink(struct kmem_cache *s);
/* Objects that are still in use stay, and so does the cache. */
void kmem_cache_destroy(struct kmem_cache *s);
size_t ksize(const void *p);

void *vmalloc(size_t size) __alloc_size(1);
struct vmap_area *find_vmap_area(unsigned long addr);
#define VM_ALLOC 2UL
#define VM_MAP 4UL
void *vmap(struct page **pages, unsigned int count);
void vunmap(const void *p);
void *vm_map_ram(struct page **pages, unsigned int count, int node);
void vm_unmap_ram(const void *p, unsigned int count);
struct page *vmalloc_to_page(const void *addr);
static inline bool is_vmalloc_addr(const void *p)
{
	unsigned long addr = (unsigned long)kasan_reset_tag(p);

	return addr >= VMALLOC_START && addr < VMALLOC_END;
}
void *module_alloc(size_t size);
void vfree(const void *p);
void vmalloc_init(void);

unsigned long *pte_of(pgd_t *pgd, unsigned long addr, bool create);
struct mm_struct *mm_alloc(void);
struct mm_struct *dup_mm(struct mm_struct *old);
void mmput(struct mm_struct *mm);
int vm_map(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags, struct file *file, unsigned long pgoff);
/* Anonymous memory for the current program, where there is room; an error as ERR_PTR. */
unsigned long vm_mmap(unsigned long size, unsigned long flags);
int vm_unmap(struct mm_struct *mm, unsigned long start, unsigned long end);
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr);
/* 0 when the user page is there now; negative when the address is not the program's. */
int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned long error_code);
/* Writes into another address space: exec fills in the new program. */
int access_remote_vm(struct mm_struct *mm, unsigned long addr, const void *from, size_t n);

/* Reads kernel memory that may not be there: 0, or -EFAULT. User addresses are refused. */
long copy_from_kernel_nofault(void *to, const void *from, size_t n);
/* ` in NAME[START+SIZE]` of the file mapped at ip. */
void print_vma_addr(const char *prefix, unsigned long ip);
unsigned long _copy_from_user(void *to, const void *from, size_t n);
unsigned long _copy_to_user(void *to, const void *from, size_t n);
/* Bytes that could not be copied. A length that is known to the compiler needs no look at the object. */
static inline __attribute__((always_inline)) unsigned long copy_from_user(void *to, const void *from, size_t n)
{
	if (!__builtin_constant_p(n))
		__check_object_size(to, n, false);
	return _copy_from_user(to, from, n);
}
static inline __attribute__((always_inline)) unsigned long copy_to_user(void *to, const void *from, size_t n)
{
	if (!__builtin_constant_p(n))
		__check_object_size(from, n, true);
	return _copy_to_user(to, from, n);
}
long strncpy_from_user(char *to, const char *from, long n);
#endif
