/* A module of the kernel's own tree, signed: it taints nothing. It has no exit, so that only `rmmod -f` takes it away. */
#include <linux/module.h>

static int sample_init(void)
{
	return 0;
}

module_init(sample_init);
MODULE_INTREE;
MODULE_LICENSE("GPL");
