/* A module marked as a live patch, which patches nothing: taint K. */
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
MODULE_INFO(livepatch, "Y");
MODULE_LICENSE("GPL");
