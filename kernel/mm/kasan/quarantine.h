/* The quarantine as those see it who free and allocate, inline. Mirrors parts of Linux 6.1 mm/kasan/quarantine.c. */
#ifndef _MM_KASAN_QUARANTINE_H
#define _MM_KASAN_QUARANTINE_H
#include "kasan.h"

#define QUARANTINE_PERCPU_SIZE (1UL << 20)

/* Newest first. */
struct qlist_head { struct qlist_node *head; unsigned long bytes; };

DECLARE_PER_CPU(struct qlist_head, cpu_quarantine);
extern unsigned long quarantine_size, quarantine_max_size;

/* Makes a batch of a CPU's list. */
void kasan_quarantine_end_batch(struct qlist_head *q);
void __kasan_quarantine_reduce(void);

/* The oldest objects are to go when they are more than a 32nd of memory. */
static inline bool kasan_quarantine_is_full(void)
{
	return READ_ONCE(quarantine_size) > quarantine_max_size;
}

/*
 * With interrupts on, and from a list that may be another CPU's by now: it is changed at once or not at all. Of its size
 * something may get lost.
 */
static inline __attribute__((always_inline)) void kasan_quarantine_put(struct qlist_node *link, unsigned long size)
{
	struct qlist_head *q = this_cpu_ptr(&cpu_quarantine);
	struct qlist_node *head = READ_ONCE(q->head);

	do
		link->next = head;
	while (!__atomic_compare_exchange_n(&q->head, &head, link, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	q->bytes += size;
	if (unlikely(q->bytes > QUARANTINE_PERCPU_SIZE))
		kasan_quarantine_end_batch(q);
}
#endif
