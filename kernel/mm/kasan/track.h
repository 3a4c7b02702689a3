/*
 * Who allocates and frees. Every allocation and every free asks for its stack, and nearly all of them are asked for
 * again and again. So the return addresses along the frame pointers, which the whole kernel keeps, are hashed, and only
 * a stack that is not among the recent ones is unwound (common.c). An entry is the hash, with the handle of the stack in
 * place of its low bits, which its place stands for. All of it inline: it is most of what KASAN costs.
 */
#ifndef _MM_KASAN_TRACK_H
#define _MM_KASAN_TRACK_H
#include "kasan.h"
#include <asm/ptrace.h>

#define RECENT_SETS 4096
#define HANDLE_MASK ((1UL << DEPOT_HANDLE_BITS) - 1)
extern u64 kasan_recent_stacks[RECENT_SETS][2];

/*
 * 0 on an interrupt's or exception's stack: that one is unwound. Frames are counted from the end of the stack, below
 * which lie the registers of the program, which are its affair: one comparison then says that the next frame is above
 * this one and below the end.
 */
static inline __attribute__((always_inline)) u64 hash_frames(const void *stack, const unsigned long *frame)
{
	const unsigned long room = THREAD_SIZE - sizeof(struct pt_regs) - 2 * sizeof(*frame) + 1;
	unsigned long end = (unsigned long)stack + room, at = (unsigned long)frame - end, next;
	const u64 factor = 0x9e3779b97f4a7c15;
	u64 hash = 0;

	if (unlikely(at < -room))
		return 0;
	/*
	 * Two at a time, so that nothing is moved. Of the second return address the lower half is hashed, above the upper half
	 * of the address that lies before it: of the first one the upper half is the same for all code, so both fit in one word.
	 */
	for (;;) {
		hash ^= *(const unsigned long *)(end + at + 8);
		next = *(const unsigned long *)(end + at) - end;
		if (next <= at)
			break;
		hash = (hash ^ *(const unsigned long *)(end + next + 4)) * factor;
		at = *(const unsigned long *)(end + next) - end;
		if (at <= next)
			break;
	}
	hash *= factor;
	return hash ^ hash >> 32;
}

/* 0: it has to be unwound. */
static inline __attribute__((always_inline)) depot_stack_handle_t recent_stack(u64 hash)
{
	const u64 *recent = kasan_recent_stacks[hash % RECENT_SETS];
	u64 seen = READ_ONCE(recent[0]);

	if (unlikely((seen ^ hash) > HANDLE_MASK)) {
		seen = READ_ONCE(recent[1]);
		if ((seen ^ hash) > HANDLE_MASK)
			return 0;
	}
	return seen & HANDLE_MASK;
}

depot_stack_handle_t kasan_save_stack(u64 hash);
/* Unwinds. Returns the object: its callers then need not keep it. */
void *kasan_set_track(struct kasan_track *track, u64 hash, void *object);

/* The stack from the function on that this is part of. False: it is to be unwound. */
static inline __attribute__((always_inline)) bool set_recent_track(struct kasan_track *track, u64 *hash)
{
	const struct task_struct *task = current;

	track->pid = task->pid;
	if (unlikely(!kasan_stacktrace)) {
		track->stack = 0;
		return true;
	}
	*hash = hash_frames(task->stack, __builtin_frame_address(0));
	return likely(track->stack = recent_stack(*hash));
}
#endif
