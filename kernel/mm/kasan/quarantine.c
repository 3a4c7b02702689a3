/*
 * Freed objects wait here before their memory is used again: first in a list of the CPU's own, which becomes part of a
 * batch when it has grown to a MiB; the oldest batch is let go when all of them are more than a 32nd of memory.
 * Mirrors Linux 6.1 mm/kasan/quarantine.c.
 */
#include "quarantine.h"
#include <linux/smp.h>
#include <linux/spinlock.h>

#define QUARANTINE_BATCHES 128
#define QUARANTINE_FRACTION 32

DEFINE_PER_CPU(struct qlist_head, cpu_quarantine);
static DEFINE_RAW_SPINLOCK(quarantine_lock); /* of all that follows */
static struct qlist_head global_quarantine[QUARANTINE_BATCHES];
static int quarantine_head, quarantine_tail;
static unsigned long quarantine_batch_size;
unsigned long quarantine_size, quarantine_max_size; /* of the batches */

static void qlist_put(struct qlist_head *q, struct qlist_node *link, unsigned long size)
{
	link->next = q->head;
	q->head = link;
	q->bytes += size;
}

/* A batch gets a second list hardly ever: its end is looked for. */
static void qlist_move_all(struct qlist_head *from, struct qlist_head *to)
{
	struct qlist_node **end = &from->head;

	if (to->head) {
		while (*end)
			end = &(*end)->next;
		*end = to->head;
	}
	to->head = from->head;
	to->bytes += from->bytes;
	*from = (struct qlist_head){ 0 };
}

/* All of a CPU's list, while others add to it. */
static struct qlist_head qlist_take(struct qlist_head *q)
{
	unsigned long bytes = __atomic_exchange_n(&q->bytes, 0, __ATOMIC_RELAXED);

	return (struct qlist_head){ .head = __atomic_exchange_n(&q->head, NULL, __ATOMIC_ACQUIRE), .bytes = bytes };
}

static struct kmem_cache *cache_of(const struct qlist_node *link)
{
	return virt_to_head_page(link)->slab_cache;
}

noinline void kasan_quarantine_end_batch(struct qlist_head *q)
{
	struct qlist_head batch = qlist_take(q);
	unsigned long flags;

	raw_spin_lock_irqsave(&quarantine_lock, flags);
	quarantine_size += batch.bytes;
	qlist_move_all(&batch, &global_quarantine[quarantine_tail]);
	if (global_quarantine[quarantine_tail].bytes >= quarantine_batch_size) {
		int next = (quarantine_tail + 1) % QUARANTINE_BATCHES;

		if (next != quarantine_head)
			quarantine_tail = next;
	}
	raw_spin_unlock_irqrestore(&quarantine_lock, flags);
}

void __kasan_quarantine_reduce(void)
{
	unsigned long total = (unsigned long)_totalram_pages.counter * PAGE_SIZE / QUARANTINE_FRACTION;
	unsigned long percpu = QUARANTINE_PERCPU_SIZE * num_online_cpus(), flags;
	struct qlist_head to_free = { 0 };

	raw_spin_lock_irqsave(&quarantine_lock, flags);
	quarantine_max_size = total < percpu ? 0 : total - percpu;
	quarantine_batch_size = max(QUARANTINE_PERCPU_SIZE, 2 * total / QUARANTINE_BATCHES);
	if (quarantine_size > quarantine_max_size) {
		qlist_move_all(&global_quarantine[quarantine_head], &to_free);
		quarantine_size -= to_free.bytes;
		if (quarantine_head != quarantine_tail)
			quarantine_head = (quarantine_head + 1) % QUARANTINE_BATCHES;
	}
	raw_spin_unlock_irqrestore(&quarantine_lock, flags);
	qlist_free_all(to_free.head);
}

static void qlist_move_cache(struct qlist_head *from, struct qlist_head *to, struct kmem_cache *cache)
{
	struct qlist_node *link = from->head;

	*from = (struct qlist_head){ 0 };
	for (struct qlist_node *next; link; link = next) {
		struct kmem_cache *owner = cache_of(link);

		next = link->next;
		qlist_put(owner == cache ? to : from, link, owner->size);
	}
}

static void per_cpu_remove_cache(void *cache)
{
	struct qlist_head all = qlist_take(this_cpu_ptr(&cpu_quarantine)), to_free = { 0 };

	qlist_move_cache(&all, &to_free, cache);
	for (struct qlist_node *link = all.head, *next; link; link = next) {
		next = link->next;
		kasan_quarantine_put(link, cache_of(link)->size);
	}
	qlist_free_all(to_free.head);
}

/* A cache goes away, and all that is of it here with it. */
void kasan_quarantine_remove_cache(struct kmem_cache *cache)
{
	struct qlist_head to_free = { 0 };
	unsigned long flags;

	on_each_cpu(per_cpu_remove_cache, cache, true);
	raw_spin_lock_irqsave(&quarantine_lock, flags);
	for (int i = 0; i < QUARANTINE_BATCHES; i++) {
		quarantine_size -= global_quarantine[i].bytes;
		qlist_move_cache(&global_quarantine[i], &to_free, cache);
		quarantine_size += global_quarantine[i].bytes;
	}
	raw_spin_unlock_irqrestore(&quarantine_lock, flags);
	qlist_free_all(to_free.head);
}
