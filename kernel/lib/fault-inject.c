/* Whether this call fails, and what is said about it. Mirrors Linux lib/fault-inject.c. */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/sched.h>

int setup_fault_attr(struct fault_attr *attr, const char *text)
{
	long values[4];
	char *at = (char *)text;

	for (int i = 0; i < 4; i++) {
		char *start = at;

		values[i] = simple_strtol(at, &at, 0);
		if (at == start || *at++ != (i < 3 ? ',' : 0)) {
			printk(KERN_WARNING "FAULT_INJECTION: failed to parse arguments\n");
			return 0;
		}
	}
	attr->interval = values[0];
	attr->probability = values[1];
	attr->space.counter = values[2];
	attr->times.counter = values[3];
	return 1;
}

static noinline void fail_dump(struct fault_attr *attr)
{
	if (attr->verbose > 0)
		printk(KERN_NOTICE "FAULT_INJECTION: forcing a failure.\n"
				   "name %s, interval %lu, probability %lu, space %d, times %d\n",
		       attr->name, attr->interval, attr->probability, attr->space.counter, attr->times.counter);
	if (attr->verbose > 1)
		dump_stack();
}

/* xorshift: the same failures for the same boot. */
static unsigned int percent(struct fault_attr *attr)
{
	attr->random ^= attr->random << 13;
	attr->random ^= attr->random >> 7;
	attr->random ^= attr->random << 17;
	return (attr->random >> 32) % 100;
}

noinline bool should_fail(struct fault_attr *attr, ssize_t size)
{
	bool in_task = !in_interrupt() || attr->any_context;

	if (in_task && current->fail_nth) { /* /proc/PID/fail-nth: exactly that call */
		if (--current->fail_nth)
			return false;
		fail_dump(attr);
		return true;
	}
	if (!attr->probability || !attr->times.counter)
		return false;
	if (attr->task_filter && !(in_task && current->make_it_fail))
		return false;
	if (attr->space.counter > size) {
		attr->space.counter -= size;
		return false;
	}
	if (attr->interval > 1) {
		attr->count++;
		if (attr->count % attr->interval)
			return false;
	}
	if (attr->probability <= percent(attr))
		return false;
	fail_dump(attr);
	if (attr->times.counter != -1)
		attr->times.counter--;
	return true;
}

struct dentry *fault_create_debugfs_attr(const char *name, struct dentry *parent, struct fault_attr *attr)
{
	struct dentry *dir = debugfs_create_dir(name, parent);

	debugfs_create_ulong("probability", 0600, dir, &attr->probability);
	debugfs_create_ulong("interval", 0600, dir, &attr->interval);
	debugfs_create_atomic_t("times", 0600, dir, &attr->times);
	debugfs_create_atomic_t("space", 0600, dir, &attr->space);
	debugfs_create_ulong("verbose", 0600, dir, &attr->verbose);
	debugfs_create_bool("task-filter", 0600, dir, &attr->task_filter);
	attr->dname = dir;
	return dir;
}
