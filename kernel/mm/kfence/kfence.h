/* What KFENCE's files share. Mirrors Linux 6.1 mm/kfence/kfence.h. */
#ifndef _MM_KFENCE_H
#define _MM_KFENCE_H
#include <asm/processor.h>
#include <linux/kfence.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/stackdepot.h>
#include "../slab.h"

/* A byte beside an object. It depends on the address, so that a copy of its neighbour shows. */
#define KFENCE_CANARY_PATTERN(addr) ((u8)(0xaa ^ ((unsigned long)(addr) & 7)))
#define KFENCE_STACK_DEPTH 64

enum kfence_object_state { KFENCE_OBJECT_UNUSED, KFENCE_OBJECT_ALLOCATED, KFENCE_OBJECT_FREED };
enum kfence_error_type { KFENCE_ERROR_OOB, KFENCE_ERROR_UAF, KFENCE_ERROR_CORRUPTION, KFENCE_ERROR_INVALID, KFENCE_ERROR_INVALID_FREE };

struct kfence_track {
	int pid, cpu;
	u64 ts_nsec;
	unsigned int num_stack_entries;
	unsigned long stack_entries[KFENCE_STACK_DEPTH];
};
struct kfence_metadata {
	struct list_head list;		/* in the free list */
	struct callback_head rcu_head;
	raw_spinlock_t lock;
	enum kfence_object_state state;
	unsigned long addr;
	size_t size;
	struct kmem_cache *cache;	/* NULL: destroyed */
	unsigned long unprotected_page;	/* a guard that was opened to let a bad access go on */
	u32 alloc_stack_hash;
	struct kfence_track alloc_track, free_track;
};
extern struct kfence_metadata *kfence_metadata;
struct seq_file;

/* The caller holds the lock of meta, which is NULL when nobody knows whose address it is. */
void kfence_report_error(unsigned long address, bool is_write, struct pt_regs *regs, const struct kfence_metadata *meta,
			 enum kfence_error_type type);
/* To the log when there is no file. */
void kfence_print_object(struct seq_file *seq, const struct kfence_metadata *meta);
#endif
