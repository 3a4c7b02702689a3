#ifndef _LINUX_CONSOLE_H
#define _LINUX_CONSOLE_H
#include <linux/types.h>
/* Where kernel messages go. write() may be called with everything else broken. */
struct console { const char *name; void (*write)(struct console *con, const char *text, size_t n); struct console *next; };
void register_console(struct console *con);
#endif
