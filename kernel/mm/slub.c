/*
 * The slab allocator: objects of one size on pages of their own; the free list runs through the objects and ends
 * in NULL. Large kmallocs are compound pages. A free is checked against the object's real cache and against the head
 * of the free list (SLAB_FREELIST_HARDENED, without its scrambling of pointers). Mirrors Linux 5.15 mm/slub.c.
 */
#include <asm/processor.h>
#include <linux/fault-inject.h>
#include <linux/kasan.h>
#include <linux/kfence.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/usercopy.h>
#include "slab.h"
#include "kasan/shadow.h"

struct list_head slab_caches = LIST_HEAD_INIT(slab_caches);
struct kmem_cache *kmem_cache;
static struct kmem_cache boot_kmem_cache;
static struct kmem_cache_node boot_node;
static struct kmem_cache *kmalloc_caches[10];
/* Per-cpu offset of the next cache's kmem_cache_cpu. */
DEFINE_PER_CPU(struct kmem_cache_cpu, slab_cpu_area[48]);
static u64 slab_cpu_used; /* a bit each */
/*
 * Of partial lists, and of pages that are not the freeing CPU's own. A CPU's own free list needs only its interrupts
 * off, so that a fault over a broken list leaves no lock behind.
 */
static DEFINE_SPINLOCK(slab_lock);
bool init_on_alloc, init_on_free;
#define FREE_AT_ONCE 16 /* of what comes out of the quarantine */

static inline __attribute__((always_inline)) void set_freepointer(struct kmem_cache *s, void *object, void *next)
{
	BUG_ON(object == next); /* an object freed twice in a row */
	*(void **)((char *)object + s->offset) = next;
}

static void init_cache(struct kmem_cache *s, struct kmem_cache_node *node, const char *name, unsigned int size, unsigned int align,
		       slab_flags_t flags, void (*ctor)(void *))
{
	unsigned int order = 0;

	s->name = name;
	s->object_size = s->inuse = size;
	s->size = ALIGN(max(size, 8u), max(align, 8u));
	s->align = max(align, 8u);
	s->offset = (s->size / 2) & ~7u;
	s->ctor = ctor;
	s->refcount = 1;
	s->flags = kmem_cache_flags(name, flags);
	if (s->flags & SLAB_DEBUG_FLAGS)
		calculate_debug_sizes(s);
	kasan_cache_create(s, &s->size);
	s->size = ALIGN(s->size, s->align);
	s->reciprocal_size = ((1UL << 32) + s->size - 1) / s->size;
	while ((PAGE_SIZE << order) / s->size < 4 && order < 3)
		order++;
	s->oo.x = order << 16 | (PAGE_SIZE << order) / s->size;
	s->min = s->max = s->oo;
	s->node[0] = node;
	s->cpu_slab = &slab_cpu_area[__builtin_ctzll(~slab_cpu_used)];
	slab_cpu_used |= slab_cpu_used + 1;
	INIT_LIST_HEAD(&node->partial);
	INIT_LIST_HEAD(&node->full);
	list_add(&s->list, &slab_caches);
}

static bool new_slab(struct kmem_cache *s, gfp_t gfp)
{
	unsigned int order = s->oo.x >> 16, objects = s->oo.x & 0xffff;
	struct page *page = alloc_pages((gfp & ~(gfp_t)__GFP_ZERO) | (order ? __GFP_COMP : 0), order);
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
	char *start;

	if (!page)
		return false;
	for (unsigned int i = 0; i < 1u << order; i++)
		page[i].slab_cache = s;
	page->flags |= 1UL << PG_slab;
	page->counters = 0;
	page->objects = objects;
	page->inuse = objects;
	page->frozen = 1;
	page->freelist = NULL;
	kasan_poison_slab(page);
	start = page_address(page);
	setup_slab_debug(s, page, start);
	start += s->red_left_pad;
	for (unsigned int i = 0; i < objects; i++)
		set_freepointer(s, start + i * s->size, i + 1 < objects ? start + (i + 1) * s->size : NULL);
	c->freelist = (void **)start;
	c->page = page;
	s->node[0]->nr_slabs.counter++;
	s->node[0]->total_objects.counter += objects;
	mod_node_page_state(NR_SLAB_UNRECLAIMABLE_B, 1 << order);
	return true;
}

/* A slab with something free becomes the processor's own. */
static bool refill(struct kmem_cache *s, struct kmem_cache_cpu *c, gfp_t gfp)
{
	struct kmem_cache_node *n = s->node[0];
	struct page *page;

	spin_lock(&slab_lock);
	page = c->page;
	if (!page || !page->freelist) { /* nobody gave anything back to the old one */
		if (page)
			page->frozen = 0;
		if (list_empty(&n->partial)) {
			c->page = NULL;
			spin_unlock(&slab_lock);
			return new_slab(s, gfp);
		}
		page = list_first_entry(&n->partial, struct page, slab_list);
		list_del_init(&page->slab_list);
		n->nr_partial--;
		page->frozen = 1;
		c->page = page;
	}
	c->freelist = page->freelist;
	page->freelist = NULL;
	page->inuse = page->objects;
	spin_unlock(&slab_lock);
	return true;
}

static inline __attribute__((always_inline)) void *slab_alloc(struct kmem_cache *s, size_t size, gfp_t gfp, unsigned long addr, bool is_kmalloc)
{
	unsigned long flags;
	struct kmem_cache_cpu *c;
	void *object;

	if (should_failslab(s, gfp))
		return NULL;
	object = kfence_alloc(s, size, gfp);
	if (unlikely(object))
		return object;
	flags = local_irq_save();
	c = this_cpu_ptr(s->cpu_slab);
	do {
		if (!c->freelist && !refill(s, c, gfp)) {
			local_irq_restore(flags);
			return NULL;
		}
		object = c->freelist;
		if (unlikely(s->flags & SLAB_DEBUG_FLAGS) && !alloc_debug_processing(s, c->page, object, addr)) {
			c->freelist = NULL; /* the slab is not to be trusted: its free objects are lost */
			object = NULL;
		}
	} while (!object);
	c->freelist = get_freepointer(s, object);
	local_irq_restore(flags);
	object = is_kmalloc ? kasan_kmalloc(s, object, size) : kasan_slab_alloc(s, object);
	if (gfp & __GFP_ZERO || unlikely(init_on_alloc))
		__memset(object, 0, s->object_size); /* what a kmalloc() did not ask for is red zone by now */
	if (s->ctor)
		s->ctor(object);
	return object;
}

noinline void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp)
{
	return slab_alloc(s, s->object_size, gfp, (unsigned long)__builtin_return_address(0), false);
}

/* The processor's own slab, with interrupts off. */
static inline __attribute__((always_inline)) void put_on_cpu(struct kmem_cache *s, struct kmem_cache_cpu *c, void *object)
{
	set_freepointer(s, object, c->freelist);
	c->freelist = object;
}

/* Any other, under slab_lock. */
static inline __attribute__((always_inline)) void put_on_page(struct kmem_cache *s, struct page *page, void *object)
{
	BUG_ON(object == page->freelist);
	if (!page->freelist && !page->frozen) {
		list_add(&page->slab_list, &s->node[0]->partial);
		s->node[0]->nr_partial++;
	}
	set_freepointer(s, object, page->freelist);
	page->freelist = object;
	page->inuse--;
}

/* With interrupts off. */
static inline __attribute__((always_inline)) void __slab_free(struct kmem_cache *s, struct page *page, void *object, unsigned long addr)
{
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);

	if (unlikely(init_on_free))
		memset(object, 0, s->object_size);
	if (unlikely(s->flags & SLAB_DEBUG_FLAGS) && !free_debug_processing(s, page, object, addr))
		return;
	if (page == c->page) {
		put_on_cpu(s, c, object);
	} else {
		spin_lock(&slab_lock);
		put_on_page(s, page, object);
		spin_unlock(&slab_lock);
	}
}

static inline __attribute__((always_inline)) void slab_free(struct kmem_cache *s, struct page *page, void *object, unsigned long addr)
{
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
	unsigned long flags;

	if (page == c->page && !(s->flags & SLAB_DEBUG_FLAGS))
		BUG_ON(object == c->freelist); /* before interrupts are off: the report must not find them so */
	flags = local_irq_save();
	__slab_free(s, page, object, addr);
	local_irq_restore(flags);
}

noinline void kmem_cache_free(struct kmem_cache *s, void *object)
{
	struct page *page = virt_to_head_page(object);

	s = cache_from_obj(s, object);
	if (s && !kfence_free(object) && !kasan_slab_free(s, page, object, (unsigned long)__builtin_return_address(0)))
		slab_free(s, page, kasan_reset_tag(object), (unsigned long)__builtin_return_address(0));
}

/* What KASAN's quarantine lets go, in its order: a few at a time with interrupts off, under one lock. */
void qlist_free_all(struct qlist_node *link)
{
	while (link) {
		unsigned long flags;

		spin_lock_irqsave(&slab_lock, flags);
		for (int i = 0; link && i < FREE_AT_ONCE; i++) {
			struct page *page = compound_head(direct_map_to_page(link));
			struct kmem_cache *s = page->slab_cache;
			struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
			void *object = (char *)link - s->kasan_info.free_meta_offset;

			link = link->next;
			/* who freed it is known no longer: the free list's link may go there */
			*generic_shadow(object) = KASAN_SLAB_FREE;
			if (unlikely(s->flags & SLAB_DEBUG_FLAGS || init_on_free)) {
				spin_unlock(&slab_lock);
				__slab_free(s, page, object, (unsigned long)__builtin_return_address(0));
				spin_lock(&slab_lock);
			} else if (page == c->page) {
				put_on_cpu(s, c, object);
			} else {
				put_on_page(s, page, object);
			}
		}
		spin_unlock_irqrestore(&slab_lock, flags);
	}
}

static int kmalloc_index(size_t size)
{
	for (int i = 0; i < 10; i++)
		if (size <= 8UL << i)
			return i;
	return -1;
}

static noinline void *kmalloc_large(size_t size, gfp_t gfp)
{
	unsigned int order = 0;
	struct page *page;

	while (order < 52 && PAGE_SIZE << order < size)
		order++;
	page = alloc_pages(gfp | __GFP_COMP, order);
	if (!page)
		return NULL;
	mod_node_page_state(NR_SLAB_UNRECLAIMABLE_B, 1L << order);
	return kasan_kmalloc_large(page_address(page), size);
}

static inline __attribute__((always_inline)) void *do_kmalloc(size_t size, gfp_t gfp, unsigned long addr)
{
	int i = kmalloc_index(size);

	return i < 0 ? kmalloc_large(size, gfp) : slab_alloc(kmalloc_caches[i], size, gfp, addr, true);
}

noinline void *kmalloc(size_t size, gfp_t gfp)
{
	return do_kmalloc(size, gfp, (unsigned long)__builtin_return_address(0));
}

noinline void *kzalloc(size_t size, gfp_t gfp)
{
	return do_kmalloc(size, gfp | __GFP_ZERO, (unsigned long)__builtin_return_address(0));
}

static inline __attribute__((always_inline)) void do_kfree(const void *p, unsigned long addr)
{
	struct page *page;

	if (!p)
		return;
	page = virt_to_head_page(p);
	if (PageSlab(page)) {
		if (!kfence_free((void *)p) && !kasan_slab_free(page->slab_cache, page, (void *)p, addr))
			slab_free(page->slab_cache, page, kasan_reset_tag(p), addr);
	} else if (!WARN_ON_ONCE(!PageCompound(page))) {
		kasan_kfree_large((void *)p, addr);
		mod_node_page_state(NR_SLAB_UNRECLAIMABLE_B, -(1L << compound_order(page)));
		__free_pages(page, compound_order(page));
	}
}

noinline void kfree(const void *p)
{
	do_kfree(p, (unsigned long)__builtin_return_address(0));
}

static size_t __ksize(const void *p)
{
	struct page *page = virt_to_head_page(p);

	if (is_kfence_address(p))
		return kfence_ksize(p);
	return PageSlab(page) ? page->slab_cache->object_size : PAGE_SIZE << compound_order(page);
}

/* All of it is the caller's from now on. */
static inline __attribute__((always_inline)) size_t do_ksize(const void *p)
{
	size_t size;

	if (!p || !kasan_check_byte(p))
		return 0;
	size = __ksize(p);
	kasan_unpoison_range(p, size);
	return size;
}

noinline size_t ksize(const void *p)
{
	return do_ksize(p);
}

/* Grows and shrinks in place while the object is large enough. */
noinline void *krealloc(const void *p, size_t size, gfp_t gfp)
{
	size_t old;
	void *new;

	if (!p)
		return do_kmalloc(size, gfp, (unsigned long)__builtin_return_address(0));
	if (!kasan_check_byte(p))
		return NULL;
	old = __ksize(p);
	if (size <= old)
		return kasan_krealloc((void *)p, size);
	new = do_kmalloc(size, gfp, (unsigned long)__builtin_return_address(0));
	if (new) {
		kasan_unpoison_range(p, old); /* what the caller never had is copied too */
		memcpy(new, p, old);
		kfree(p);
	}
	return new;
}

noinline void kfree_sensitive(const void *p)
{
	size_t size = do_ksize(p);

	if (size)
		memset((void *)p, 0, size);
	do_kfree(p, (unsigned long)__builtin_return_address(0));
}

/* A copy to or from a program must stay inside one object, and inside what its cache lets out. */
noinline void __check_heap_object(const void *ptr, unsigned long n, struct page *page, bool to_user)
{
	struct kmem_cache *s = page->slab_cache;
	unsigned int offset = ((unsigned long)kasan_reset_tag(ptr) - (unsigned long)page_address(page)) % s->size;

	if (is_kfence_address(ptr))
		offset = (unsigned long)ptr - (unsigned long)kfence_object_start(ptr) + s->red_left_pad;
	if (offset < s->red_left_pad)
		usercopy_abort("SLUB object in left red zone", s->name, to_user, offset, n);
	offset -= s->red_left_pad;
	if (offset >= s->useroffset && offset - s->useroffset <= s->usersize && n <= s->useroffset - offset + s->usersize)
		return;
	usercopy_abort("SLUB object", s->name, to_user, offset, n);
}

struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
					      unsigned int useroffset, unsigned int usersize, void (*ctor)(void *))
{
	struct kmem_cache *s = kmem_cache_alloc(kmem_cache, GFP_KERNEL | __GFP_ZERO);
	struct kmem_cache_node *node = kzalloc(sizeof(struct kmem_cache_node), GFP_KERNEL);

	if (!s || !node || __builtin_popcountll(slab_cpu_used) >= (int)ARRAY_SIZE(slab_cpu_area)) {
		if (s)
			kmem_cache_free(kmem_cache, s);
		kfree(node);
		return NULL;
	}
	s->useroffset = useroffset;
	s->usersize = usersize;
	init_cache(s, node, name, size, align, flags, ctor);
	return s;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags, void (*ctor)(void *))
{
	return kmem_cache_create_usercopy(name, size, align, flags, 0, 0, ctor);
}

static void free_slab(struct kmem_cache *s, struct page *page)
{
	s->node[0]->nr_slabs.counter--;
	s->node[0]->total_objects.counter -= page->objects;
	mod_node_page_state(NR_SLAB_UNRECLAIMABLE_B, -(1L << (s->oo.x >> 16)));
	page->flags &= ~(1UL << PG_slab);
	for (unsigned int i = 0; i < 1u << (s->oo.x >> 16); i++)
		page[i].slab_cache = NULL;
	page->counters = 0;
	__free_pages(page, s->oo.x >> 16);
}

/* Slabs without objects in use go back. Those with some are on no list but their objects', or have fewer free ones than they hold. */
noinline void kmem_cache_shrink(struct kmem_cache *s)
{
	struct kmem_cache_cpu *c;
	struct page *page, *next;
	unsigned long flags;
	int cpu;

	flags = local_irq_save();
	for_each_online_cpu(cpu) {
		unsigned int count = 0;

		c = per_cpu_ptr(s->cpu_slab, cpu);
		if (!c->page)
			continue;
		for (void *at = c->freelist; at; at = get_freepointer(s, at))
			count++;
		for (void *at = c->page->freelist; at; at = get_freepointer(s, at))
			count++;
		if (count == c->page->objects) {
			free_slab(s, c->page);
			c->page = NULL;
			c->freelist = NULL;
		}
	}
	list_for_each_entry_safe(page, next, &s->node[0]->partial, slab_list) {
		if (page->inuse)
			continue;
		list_del_init(&page->slab_list);
		s->node[0]->nr_partial--;
		free_slab(s, page);
	}
	local_irq_restore(flags);
}

noinline void kmem_cache_destroy(struct kmem_cache *s)
{
	if (!s || !kasan_check_byte(s))
		return;
	if (kasan_enabled)
		kasan_quarantine_remove_cache(s);
	kmem_cache_shrink(s);
	if (WARN(s->node[0]->nr_slabs.counter, "%s %s: Slab cache still has objects when called from %pS\n", __func__, s->name, __builtin_return_address(0)))
		return;
	if (s->flags & SLAB_TYPESAFE_BY_RCU)
		rcu_barrier();
	kfence_shutdown_cache(s);
	list_del_init(&s->list);
	slab_cpu_used &= ~(1ULL << (s->cpu_slab - slab_cpu_area));
	kfree(s->node[0]);
	kmem_cache_free(kmem_cache, s);
}

void kmem_cache_init(void)
{
	static const char *const names[] = { "kmalloc-8", "kmalloc-16", "kmalloc-32", "kmalloc-64", "kmalloc-128", "kmalloc-256", "kmalloc-512", "kmalloc-1k", "kmalloc-2k", "kmalloc-4k" };
	static struct kmem_cache_node nodes[10];

	kmem_cache = &boot_kmem_cache;
	init_cache(kmem_cache, &boot_node, "kmem_cache", sizeof(struct kmem_cache), 64, 0, NULL);
	for (int i = 0; i < 10; i++) {
		kmalloc_caches[i] = kmem_cache_alloc(kmem_cache, GFP_KERNEL | __GFP_ZERO);
		kmalloc_caches[i]->usersize = 8u << i;
		kmalloc_caches[i]->kasan_info.is_kmalloc = true;
		init_cache(kmalloc_caches[i], &nodes[i], names[i], 8u << i, kasan_enabled ? 8u << i : 8, 0, NULL);
	}
}

static int init_on_setup(const char *value, bool *flag)
{
	*flag = *value == '1' || *value == 'y' || !strncmp(value, "on", 2);
	return 1;
}
static int init_on_alloc_setup(char *value) { return init_on_setup(value, &init_on_alloc); }
__setup("init_on_alloc=", init_on_alloc_setup);
static int init_on_free_setup(char *value) { return init_on_setup(value, &init_on_free); }
__setup("init_on_free=", init_on_free_setup);
EXPORT_SYMBOL(kmalloc);
EXPORT_SYMBOL(kzalloc);
EXPORT_SYMBOL(krealloc);
EXPORT_SYMBOL(ksize);
EXPORT_SYMBOL(kfree_sensitive);
EXPORT_SYMBOL(kmem_cache_destroy);
EXPORT_SYMBOL(kmem_cache_shrink);
EXPORT_SYMBOL(kfree);
EXPORT_SYMBOL(kmem_cache_create);
EXPORT_SYMBOL(kmem_cache_alloc);
EXPORT_SYMBOL(kmem_cache_free);
EXPORT_SYMBOL(init_on_free);
