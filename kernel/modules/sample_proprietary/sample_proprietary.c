/* A module under a license that is not the GPL: taint P. */
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
MODULE_LICENSE("Proprietary");
