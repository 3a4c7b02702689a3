/* struct page, zones, address spaces: Linux 5.15's members, because dump tools read them by name. */
#ifndef _LINUX_MM_TYPES_H
#define _LINUX_MM_TYPES_H
#include <linux/types.h>

struct kmem_cache;
struct address_space;
struct file;
struct page {
	unsigned long flags;
	union {
		struct { struct list_head lru; struct address_space *mapping; unsigned long index, private; };
		struct {
			union { struct list_head slab_list; struct { struct page *next; int pages, pobjects; }; };
			struct kmem_cache *slab_cache;
			void *freelist;
			union { void *s_mem; unsigned long counters; struct { unsigned inuse : 16, objects : 15, frozen : 1; }; };
		};
		struct { unsigned long compound_head; unsigned char compound_dtor, compound_order; atomic_t compound_mapcount; unsigned int compound_nr; };
		struct callback_head rcu_head;
	};
	union { atomic_t _mapcount; unsigned int page_type; unsigned int active; };
	atomic_t _refcount;
	unsigned long memcg_data;
};
_Static_assert(sizeof(struct page) == 64, "struct page is 64 bytes");

enum pageflags { PG_locked, PG_referenced, PG_uptodate, PG_dirty, PG_lru, PG_active, PG_workingset, PG_waiters, PG_error, PG_slab, PG_owner_priv_1, PG_arch_1, PG_reserved, PG_private, PG_private_2, PG_writeback, PG_head, PG_mappedtodisk, PG_reclaim, PG_swapbacked, PG_unevictable, PG_mlocked, PG_hwpoison, __NR_PAGEFLAGS, PG_swapcache = PG_owner_priv_1 };
enum zone_type { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE, __MAX_NR_ZONES };
enum zone_stat_item { NR_FREE_PAGES, NR_ZONE_LRU_BASE, NR_ZONE_INACTIVE_ANON = NR_ZONE_LRU_BASE, NR_ZONE_ACTIVE_ANON, NR_ZONE_INACTIVE_FILE, NR_ZONE_ACTIVE_FILE, NR_ZONE_UNEVICTABLE, NR_ZONE_WRITE_PENDING, NR_MLOCK, NR_BOUNCE, NR_ZSPAGES, NR_FREE_CMA_PAGES, NR_VM_ZONE_STAT_ITEMS };
enum node_stat_item { NR_LRU_BASE, NR_INACTIVE_ANON = NR_LRU_BASE, NR_ACTIVE_ANON, NR_INACTIVE_FILE, NR_ACTIVE_FILE, NR_UNEVICTABLE, NR_SLAB_RECLAIMABLE_B, NR_SLAB_UNRECLAIMABLE_B, NR_ANON_MAPPED, NR_FILE_MAPPED, NR_FILE_PAGES, NR_FILE_DIRTY, NR_WRITEBACK, NR_SHMEM, NR_VM_NODE_STAT_ITEMS };
enum migratetype { MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_PCPTYPES, MIGRATE_HIGHATOMIC = MIGRATE_PCPTYPES, MIGRATE_TYPES };
enum node_states { N_POSSIBLE, N_ONLINE, N_NORMAL_MEMORY, N_HIGH_MEMORY = N_NORMAL_MEMORY, N_MEMORY, N_CPU, NR_NODE_STATES };
#define MAX_ORDER 11
struct free_area { struct list_head free_list[MIGRATE_TYPES]; unsigned long nr_free; };
struct pglist_data;
struct zone { unsigned long _watermark[4], watermark_boost; long lowmem_reserve[4]; struct pglist_data *zone_pgdat; unsigned long zone_start_pfn; atomic_long_t managed_pages; unsigned long spanned_pages, present_pages; const char *name; struct free_area free_area[MAX_ORDER]; unsigned long flags; spinlock_t lock; atomic_long_t vm_stat[NR_VM_ZONE_STAT_ITEMS]; };
typedef struct pglist_data { struct zone node_zones[__MAX_NR_ZONES]; int nr_zones; unsigned long node_start_pfn, node_present_pages, node_spanned_pages; int node_id; unsigned long flags; atomic_long_t vm_stat[NR_VM_NODE_STAT_ITEMS]; } pg_data_t;
struct mem_section { unsigned long section_mem_map; struct mem_section_usage *usage; };
struct trace_print_flags { unsigned long mask; const char *name; };

struct kmem_cache_order_objects { unsigned int x; };
struct kmem_cache_cpu { void **freelist; unsigned long tid; struct page *page, *partial; };
struct kmem_cache_node { spinlock_t list_lock; unsigned long nr_partial; struct list_head partial; atomic_long_t nr_slabs, total_objects; struct list_head full; };
struct kmem_cache {
	struct kmem_cache_cpu *cpu_slab;
	slab_flags_t flags;
	unsigned long min_partial;
	unsigned int size, object_size;
	u32 reciprocal_size; /* 2^32 / size, rounded up: no slab is so large that it matters */
	unsigned int offset, cpu_partial;
	struct kmem_cache_order_objects oo, max, min;
	gfp_t allocflags;
	int refcount;
	void (*ctor)(void *);
	unsigned int inuse, align, red_left_pad;
	const char *name;
	struct list_head list;
	struct kasan_cache { int alloc_meta_offset, free_meta_offset; bool is_kmalloc; } kasan_info;
	unsigned int useroffset, usersize;
	struct kmem_cache_node *node[1];
};

struct vm_struct { struct vm_struct *next; void *addr; unsigned long size, flags; struct page **pages; unsigned int nr_pages; phys_addr_t phys_addr; const void *caller; };
struct vmap_area { unsigned long va_start, va_end; struct rb_node rb_node; struct list_head list; union { unsigned long subtree_max_size; struct vm_struct *vm; }; };

struct mm_struct;
#define VM_READ 1
#define VM_WRITE 2
#define VM_EXEC 4
#define VM_GROWSDOWN 0x100
struct vm_area_struct { unsigned long vm_start, vm_end; struct vm_area_struct *vm_next, *vm_prev; struct rb_node vm_rb; struct mm_struct *vm_mm; unsigned long vm_page_prot, vm_flags, vm_pgoff; struct file *vm_file; };
enum mm_counters { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES, NR_MM_COUNTERS };
struct mm_rss_stat { atomic_long_t count[NR_MM_COUNTERS]; };
struct task_rss_stat { int events, count[NR_MM_COUNTERS]; };
struct mm_struct {
	struct {
		struct vm_area_struct *mmap;
		struct rb_root mm_rb;
		unsigned long mmap_base, task_size;
		pgd_t *pgd;
		atomic_t mm_users, mm_count;
		int map_count;
		unsigned long hiwater_rss, hiwater_vm, total_vm, stack_vm;
		unsigned long start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start, arg_end, env_start, env_end;
		struct mm_rss_stat rss_stat;
		struct file *exe_file;
	};
};
extern struct mm_struct init_mm;
#endif
