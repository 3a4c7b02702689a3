/*
 * The stack depot: a hash table of call stacks in pools of pages that are never freed. A handle is the number of the
 * pool, from 1, and the place in it. Mirrors Linux 6.1 lib/stackdepot.c.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/stackdepot.h>

#define POOL_ORDER 2
#define POOL_SIZE (PAGE_SIZE << POOL_ORDER)
/* offset / 8 in the low bits */
#define OFFSET_BITS 11
#define MAX_POOLS ((1u << (DEPOT_HANDLE_BITS - OFFSET_BITS)) - 1)
#define TABLE_ORDER 3
#define BUCKETS ((PAGE_SIZE << TABLE_ORDER) / sizeof(void *))

struct stack_record { struct stack_record *next; u32 hash, count; depot_stack_handle_t handle; unsigned long entries[]; };

static DEFINE_RAW_SPINLOCK(depot_lock);
static struct stack_record **table;
static char *pools[MAX_POOLS];
static unsigned int pool_count, pool_used = POOL_SIZE;

static u32 hash_stack(const unsigned long *entries, unsigned int count)
{
	u64 hash = count;

	for (unsigned int i = 0; i < count; i++)
		hash = (hash ^ entries[i]) * 0x9e3779b97f4a7c15;
	return hash >> 32;
}

extern char __irqentry_text_start[], __irqentry_text_end[];

/* As far as the entry of an interrupt or exception, as in Linux: behind it lies anything at all. */
static unsigned int filter_irq_stacks(const unsigned long *entries, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (entries[i] >= (unsigned long)__irqentry_text_start && entries[i] < (unsigned long)__irqentry_text_end)
			return i + 1;
	return count;
}

static void *pages(unsigned int order, gfp_t gfp)
{
	struct page *page = alloc_pages(gfp | __GFP_NOWARN, order);

	return page ? page_address(page) : NULL;
}

static struct stack_record *new_record(unsigned int count)
{
	size_t size = sizeof(struct stack_record) + count * sizeof(unsigned long);
	struct stack_record *record;

	if (pool_used + size > POOL_SIZE) {
		if (pool_count == MAX_POOLS || !(pools[pool_count] = pages(POOL_ORDER, GFP_ATOMIC)))
			return NULL;
		pool_count++;
		pool_used = 0;
	}
	record = (void *)(pools[pool_count - 1] + pool_used);
	record->handle = pool_count << OFFSET_BITS | pool_used / 8;
	pool_used += ALIGN(size, 8UL);
	return record;
}

depot_stack_handle_t stack_depot_save(const unsigned long *entries, unsigned int count)
{
	struct stack_record *record, **bucket;
	unsigned long flags;
	u32 hash;

	count = filter_irq_stacks(entries, count);
	hash = hash_stack(entries, count);
	raw_spin_lock_irqsave(&depot_lock, flags);
	if (!table)
		table = pages(TABLE_ORDER, GFP_ATOMIC | __GFP_ZERO);
	bucket = table ? &table[hash % BUCKETS] : NULL;
	for (record = bucket ? *bucket : NULL; record; record = record->next)
		if (record->hash == hash && record->count == count && !memcmp(record->entries, entries, count * sizeof(*entries)))
			break;
	if (bucket && !record && (record = new_record(count))) {
		record->hash = hash;
		record->count = count;
		memcpy(record->entries, entries, count * sizeof(*entries));
		record->next = *bucket;
		*bucket = record;
	}
	raw_spin_unlock_irqrestore(&depot_lock, flags);
	return record ? record->handle : 0;
}

unsigned int stack_depot_fetch(depot_stack_handle_t handle, unsigned long **entries)
{
	unsigned int pool = handle >> OFFSET_BITS, offset = (handle & ((1u << OFFSET_BITS) - 1)) * 8;
	struct stack_record *record;

	if (!pool || pool > pool_count || offset > POOL_SIZE - sizeof(*record))
		return 0;
	record = (void *)(pools[pool - 1] + offset);
	if (record->handle != handle || offset + sizeof(*record) + record->count * sizeof(unsigned long) > POOL_SIZE)
		return 0;
	*entries = record->entries;
	return record->count;
}

void stack_depot_print(depot_stack_handle_t handle)
{
	unsigned long *entries;
	unsigned int count = stack_depot_fetch(handle, &entries);

	if (count)
		stack_trace_print(entries, count);
}
