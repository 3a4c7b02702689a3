/*
 * The slab allocator: objects of one size on pages of their own; the free list runs through the objects and ends
 * in NULL. Large kmallocs are pages. Mirrors Linux 5.15 mm/slub.c.
 */
#include <asm/processor.h>
#include <linux/mm.h>
#include <linux/module.h>

struct list_head slab_caches = LIST_HEAD_INIT(slab_caches);
struct kmem_cache *kmem_cache;
static struct kmem_cache boot_kmem_cache;
static struct kmem_cache_node boot_node;
static struct kmem_cache *kmalloc_caches[10];
/* Per-cpu offset of the next cache's kmem_cache_cpu. */
DEFINE_PER_CPU(struct kmem_cache_cpu, slab_cpu_area[48]);
static int slab_cpu_used;

static void set_freepointer(struct kmem_cache *s, void *object, void *next)
{
	BUG_ON(object == next); /* an object freed twice in a row */
	*(void **)((char *)object + s->offset) = next;
}

static void *get_freepointer(struct kmem_cache *s, void *object)
{
	return *(void **)((char *)object + s->offset);
}

static void init_cache(struct kmem_cache *s, struct kmem_cache_node *node, const char *name, unsigned int size, unsigned int align, void (*ctor)(void *))
{
	unsigned int order = 0;

	s->name = name;
	s->object_size = s->inuse = size;
	s->size = ALIGN(max(size, 8u), max(align, 8u));
	s->align = align;
	s->offset = (s->size / 2) & ~7u;
	s->ctor = ctor;
	s->refcount = 1;
	while ((PAGE_SIZE << order) / s->size < 4 && order < 3)
		order++;
	s->oo.x = order << 16 | (PAGE_SIZE << order) / s->size;
	s->min = s->max = s->oo;
	s->node[0] = node;
	s->cpu_slab = &slab_cpu_area[slab_cpu_used++];
	INIT_LIST_HEAD(&node->partial);
	INIT_LIST_HEAD(&node->full);
	list_add(&s->list, &slab_caches);
}

static bool new_slab(struct kmem_cache *s)
{
	unsigned int order = s->oo.x >> 16, objects = s->oo.x & 0xffff;
	struct page *page = alloc_pages(GFP_KERNEL, order);
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
	char *start;

	if (!page)
		return false;
	start = page_address(page);
	for (unsigned int i = 0; i < 1u << order; i++) {
		page[i].slab_cache = s;
		if (i)
			page[i].compound_head = (unsigned long)page | 1;
	}
	page->flags |= 1UL << PG_slab | (order ? 1UL << PG_head : 0);
	page->compound_order = 0;
	page->counters = 0;
	page->objects = objects;
	page->inuse = objects;
	page->frozen = 1;
	page->freelist = NULL;
	if (order)
		page[1].compound_order = order;
	for (unsigned int i = 0; i < objects; i++)
		set_freepointer(s, start + i * s->size, i + 1 < objects ? start + (i + 1) * s->size : NULL);
	c->freelist = (void **)start;
	c->page = page;
	s->node[0]->nr_slabs.counter++;
	s->node[0]->total_objects.counter += objects;
	return true;
}

static struct page *head_page(struct page *page)
{
	return !(page->flags & 1UL << PG_slab) && page->compound_head & 1 ? (struct page *)(page->compound_head - 1) : page;
}

void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp)
{
	unsigned long flags = local_irq_save();
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
	void *object = c->freelist;

	if (!object) {
		struct kmem_cache_node *n = s->node[0];

		if (c->page)
			c->page->frozen = 0;
		if (!list_empty(&n->partial)) {
			struct page *page = list_first_entry(&n->partial, struct page, slab_list);

			list_del_init(&page->slab_list);
			n->nr_partial--;
			page->frozen = 1;
			c->page = page;
			c->freelist = page->freelist;
			page->freelist = NULL;
			page->inuse = page->objects;
		} else if (!new_slab(s)) {
			local_irq_restore(flags);
			return NULL;
		}
		object = c->freelist;
	}
	c->freelist = get_freepointer(s, object);
	local_irq_restore(flags);
	if (gfp & __GFP_ZERO)
		memset(object, 0, s->object_size);
	if (s->ctor)
		s->ctor(object);
	return object;
}

void kmem_cache_free(struct kmem_cache *s, void *object)
{
	unsigned long flags = local_irq_save();
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
	struct page *page = head_page(virt_to_page(object));

	if (page == c->page) {
		set_freepointer(s, object, c->freelist);
		c->freelist = object;
	} else {
		if (!page->freelist) {
			list_add(&page->slab_list, &s->node[0]->partial);
			s->node[0]->nr_partial++;
		}
		set_freepointer(s, object, page->freelist);
		page->freelist = object;
		page->inuse--;
	}
	local_irq_restore(flags);
}

static int kmalloc_index(size_t size)
{
	for (int i = 0; i < 10; i++)
		if (size <= 8UL << i)
			return i;
	return -1;
}

void *kmalloc(size_t size, gfp_t gfp)
{
	int i = kmalloc_index(size);
	unsigned int order = 0;
	struct page *page;

	if (i >= 0)
		return kmem_cache_alloc(kmalloc_caches[i], gfp);
	while (PAGE_SIZE << order < size)
		order++;
	if (order >= MAX_ORDER)
		return NULL;
	page = alloc_pages(gfp, order);
	if (!page)
		return NULL;
	page->private = order;
	return page_address(page);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp | __GFP_ZERO);
}

void kfree(const void *p)
{
	struct page *page;

	if (!p)
		return;
	page = head_page(virt_to_page(p));
	if (page->flags & 1UL << PG_slab)
		kmem_cache_free(page->slab_cache, (void *)p);
	else
		__free_pages(page, page->private);
}

size_t ksize(const void *p)
{
	struct page *page = head_page(virt_to_page(p));

	return page->flags & 1UL << PG_slab ? page->slab_cache->object_size : PAGE_SIZE << page->private;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags, void (*ctor)(void *))
{
	struct kmem_cache *s = kmem_cache_alloc(kmem_cache, GFP_KERNEL | __GFP_ZERO);

	if (slab_cpu_used >= (int)ARRAY_SIZE(slab_cpu_area))
		return NULL;
	init_cache(s, kzalloc(sizeof(struct kmem_cache_node), GFP_KERNEL), name, size, align, ctor);
	return s;
}

void kmem_cache_init(void)
{
	static const char *const names[] = { "kmalloc-8", "kmalloc-16", "kmalloc-32", "kmalloc-64", "kmalloc-128", "kmalloc-256", "kmalloc-512", "kmalloc-1k", "kmalloc-2k", "kmalloc-4k" };
	static struct kmem_cache_node nodes[10];

	kmem_cache = &boot_kmem_cache;
	init_cache(kmem_cache, &boot_node, "kmem_cache", sizeof(struct kmem_cache), 64, NULL);
	for (int i = 0; i < 10; i++) {
		kmalloc_caches[i] = kmem_cache_alloc(kmem_cache, GFP_KERNEL | __GFP_ZERO);
		init_cache(kmalloc_caches[i], &nodes[i], names[i], 8u << i, 8, NULL);
	}
}
EXPORT_SYMBOL(kmalloc);
EXPORT_SYMBOL(kzalloc);
EXPORT_SYMBOL(kfree);
EXPORT_SYMBOL(kmem_cache_create);
EXPORT_SYMBOL(kmem_cache_alloc);
EXPORT_SYMBOL(kmem_cache_free);
