/* The log handed to those who keep it when the kernel dies. Mirrors Linux include/linux/kmsg_dump.h. */
#ifndef _LINUX_KMSG_DUMP_H
#define _LINUX_KMSG_DUMP_H
#include <linux/types.h>

enum kmsg_dump_reason { KMSG_DUMP_UNDEF, KMSG_DUMP_PANIC, KMSG_DUMP_OOPS, KMSG_DUMP_EMERG, KMSG_DUMP_SHUTDOWN, KMSG_DUMP_MAX };
struct kmsg_dump_iter { u64 cur_seq, next_seq; };
/* dump() may not sleep and may find every lock taken; max_reason: called up to this one, 0 for oopses and panics. */
struct kmsg_dumper { struct kmsg_dumper *next; void (*dump)(struct kmsg_dumper *dumper, enum kmsg_dump_reason reason); enum kmsg_dump_reason max_reason; bool registered; };
int kmsg_dump_register(struct kmsg_dumper *dumper);
int kmsg_dump_unregister(struct kmsg_dumper *dumper);
void kmsg_dump(enum kmsg_dump_reason reason);
const char *kmsg_dump_reason_str(enum kmsg_dump_reason reason);
void kmsg_dump_rewind(struct kmsg_dump_iter *iter);
bool kmsg_dump_get_line(struct kmsg_dump_iter *iter, bool syslog, char *line, size_t size, size_t *len);
bool kmsg_dump_get_buffer(struct kmsg_dump_iter *iter, bool syslog, char *buf, size_t size, size_t *len_out);
#endif
