/* Between the files of printk. */
#include <linux/types.h>
struct printk_info;

/* Level, facility, flags, time and caller are taken from info; its sequence number and length are set. */
void prb_store(struct printk_info *info, const char *text, size_t length);
