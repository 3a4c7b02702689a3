/* Call stacks, each kept once and named by a number; and how a stack is taken and printed. Mirrors Linux 6.1. */
#ifndef _LINUX_STACKDEPOT_H
#define _LINUX_STACKDEPOT_H
#include <linux/types.h>

typedef u32 depot_stack_handle_t;
/* A handle has no more. */
#define DEPOT_HANDLE_BITS 22
struct pt_regs;

/* Without what an interrupt interrupted. 0 when there is no memory for it. */
depot_stack_handle_t stack_depot_save(const unsigned long *entries, unsigned int count);
/* How many addresses, and where they are. */
unsigned int stack_depot_fetch(depot_stack_handle_t handle, unsigned long **entries);
void stack_depot_print(depot_stack_handle_t handle);

/* The caller's stack from its own frame on, without the first `skip` frames; of the kernel only. */
unsigned int stack_trace_save(unsigned long *store, unsigned int size, unsigned int skip);
unsigned int stack_trace_save_regs(struct pt_regs *regs, unsigned long *store, unsigned int size);
void stack_trace_print(const unsigned long *entries, unsigned int count);
#endif
