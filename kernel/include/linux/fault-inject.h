/* Failures on purpose, with a probability and a budget. Mirrors Linux include/linux/fault-inject.h. */
#ifndef _LINUX_FAULT_INJECT_H
#define _LINUX_FAULT_INJECT_H
#include <linux/types.h>

struct dentry;
/*
 * probability: percent; interval: every n-th call at most; times: how many failures are left, -1 for any number;
 * space: bytes that may still be asked for before the first; verbose: 0 nothing, 1 a line, 2 with a trace;
 * task_filter: only tasks with /proc/PID/make-it-fail; any_context: a breakpoint's handler asks for the task it hit.
 */
struct fault_attr { unsigned long probability, interval; atomic_t times, space; unsigned long verbose; bool task_filter, any_context; unsigned long count; u64 random; struct dentry *dname; const char *name; };
#define FAULT_ATTR_INITIALIZER(n) { .interval = 1, .times = { 1 }, .verbose = 2, .random = 0x9e3779b97f4a7c15ull, .name = n }

bool should_fail(struct fault_attr *attr, ssize_t size);
/* `probability`, `interval`, `times`, `space`, `verbose` and `task-filter` under /sys/kernel/debug/NAME. */
struct dentry *fault_create_debugfs_attr(const char *name, struct dentry *parent, struct fault_attr *attr);
/* `<interval>,<probability>,<space>,<times>` from the command line; 1 when it was good. */
int setup_fault_attr(struct fault_attr *attr, const char *text);

struct kmem_cache;
bool should_failslab(struct kmem_cache *s, gfp_t gfp);
bool should_fail_alloc_page(gfp_t gfp, unsigned int order);
#endif
