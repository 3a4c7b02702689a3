/* kmalloc() and kmem_cache_alloc() that fail: /sys/kernel/debug/failslab and `failslab=`. Mirrors Linux mm/failslab.c. */
#include <linux/debugfs.h>
#include <linux/error-injection.h>
#include <linux/fault-inject.h>
#include <linux/mm.h>
#include <linux/sched.h>

static struct { struct fault_attr attr; bool ignore_gfp_reclaim, cache_filter; } failslab = {
	.attr = FAULT_ATTR_INITIALIZER("failslab"), .ignore_gfp_reclaim = true,
};

/* Allocations that may wait are spared by default, as in Linux; nearly all here may. */
noinline __error_injectable bool should_failslab(struct kmem_cache *s, gfp_t gfp)
{
	if (likely(!failslab.attr.probability && !current->fail_nth) || gfp & __GFP_NOFAIL)
		return false;
	if (failslab.ignore_gfp_reclaim && gfp & __GFP_DIRECT_RECLAIM)
		return false;
	if (failslab.cache_filter && !(s->flags & 0x2000000u /* SLAB_FAILSLAB */))
		return false;
	return should_fail(&failslab.attr, s->object_size);
}

ALLOW_ERROR_INJECTION(should_failslab, TRUE);

static int setup_failslab(char *value)
{
	return setup_fault_attr(&failslab.attr, value);
}
__setup("failslab=", setup_failslab);

static int failslab_debugfs_init(void)
{
	struct dentry *dir = fault_create_debugfs_attr("failslab", NULL, &failslab.attr);

	debugfs_create_bool("ignore-gfp-wait", 0600, dir, &failslab.ignore_gfp_reclaim);
	debugfs_create_bool("cache-filter", 0600, dir, &failslab.cache_filter);
	return 0;
}
late_initcall(failslab_debugfs_init);
