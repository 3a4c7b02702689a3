#ifndef _LINUX_CONSOLE_H
#define _LINUX_CONSOLE_H
#include <linux/types.h>
#define CON_EXTENDED 64 /* wants records as /dev/kmsg gives them */
/* Where kernel messages go, a record a call. write() may be called with everything else broken. */
struct console { const char *name; void (*write)(struct console *con, const char *text, size_t n); short flags, index; struct console *next; };
/* What was said before is written to it first. */
void register_console(struct console *con);
/* Called with each record, when it is set. */
extern void (*trace_console)(const char *text, size_t n);
/* The whole log once more, on every console. */
void console_replay_all(void);
/* Everything is to be seen from here on: oops, panic. `printk.console_no_auto_verbose` keeps the level as it is. */
void console_verbose(void);
#endif
