/* Out of memory. Mirrors Linux include/linux/oom.h. */
#ifndef _LINUX_OOM_H
#define _LINUX_OOM_H
#include <linux/types.h>
/* Chooses a program and kills it; false when there is nobody left to kill for. Panics when nothing can be killed. */
bool out_of_memory(gfp_t gfp, unsigned int order);
/* `NAME: page allocation failure: order:N, mode:...`, with trace and memory. */
void warn_alloc(gfp_t gfp, unsigned int order);
/* `Mem-Info:` */
void show_mem(void);
const char *format_gfp(char *buf, size_t size, gfp_t gfp);
#endif
