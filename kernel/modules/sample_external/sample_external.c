/* A module that somebody else supports, as distributions mark it: taint X. */
#include <linux/module.h>

static int sample_init(void)
{
	return 0;
}

static void sample_exit(void)
{
}

module_init(sample_init);
module_exit(sample_exit);
MODULE_INTREE;
MODULE_INFO(supported, "external");
MODULE_LICENSE("GPL");
