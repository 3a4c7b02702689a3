/* Between printk.c and its ring buffer. */
#include <linux/types.h>
void prb_store(int level, u64 ns, u32 caller, const char *text, size_t length);
