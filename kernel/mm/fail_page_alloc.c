/* Page allocations that fail: /sys/kernel/debug/fail_page_alloc and `fail_page_alloc=`. Mirrors Linux mm/page_alloc.c (CONFIG_FAIL_PAGE_ALLOC). */
#include <linux/debugfs.h>
#include <linux/error-injection.h>
#include <linux/fault-inject.h>
#include <linux/mm.h>
#include <linux/sched.h>

static struct { struct fault_attr attr; bool ignore_gfp_highmem, ignore_gfp_reclaim; u32 min_order; } fail_page_alloc = {
	.attr = FAULT_ATTR_INITIALIZER("fail_page_alloc"), .ignore_gfp_highmem = true, .ignore_gfp_reclaim = true, .min_order = 1,
};

noinline __error_injectable bool should_fail_alloc_page(gfp_t gfp, unsigned int order)
{
	if (likely(!fail_page_alloc.attr.probability && !current->fail_nth) || order < fail_page_alloc.min_order || gfp & __GFP_NOFAIL)
		return false;
	if (fail_page_alloc.ignore_gfp_reclaim && gfp & __GFP_DIRECT_RECLAIM)
		return false;
	return should_fail(&fail_page_alloc.attr, 1L << order);
}

ALLOW_ERROR_INJECTION(should_fail_alloc_page, TRUE);

static int setup_fail_page_alloc(char *value)
{
	return setup_fault_attr(&fail_page_alloc.attr, value);
}
__setup("fail_page_alloc=", setup_fail_page_alloc);

static int fail_page_alloc_debugfs(void)
{
	struct dentry *dir = fault_create_debugfs_attr("fail_page_alloc", NULL, &fail_page_alloc.attr);

	debugfs_create_bool("ignore-gfp-wait", 0600, dir, &fail_page_alloc.ignore_gfp_reclaim);
	debugfs_create_bool("ignore-gfp-highmem", 0600, dir, &fail_page_alloc.ignore_gfp_highmem);
	debugfs_create_u32("min-order", 0600, dir, &fail_page_alloc.min_order);
	return 0;
}
late_initcall(fail_page_alloc_debugfs);
