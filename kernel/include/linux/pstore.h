/* Messages that outlive the kernel: /sys/fs/pstore and who keeps them. Mirrors Linux include/linux/pstore.h. */
#ifndef _LINUX_PSTORE_H
#define _LINUX_PSTORE_H
#include <linux/kmsg_dump.h>
#include <linux/types.h>

enum pstore_type_id { PSTORE_TYPE_DMESG, PSTORE_TYPE_FTRACE, PSTORE_TYPE_CONSOLE, PSTORE_TYPE_PMSG };
struct pstore_record { enum pstore_type_id type; u64 id, time; enum kmsg_dump_reason reason; unsigned int part; char *buf; size_t size; };

/*
 * A backend. next_record: the records of earlier kernels, one a call; buf is the caller's to vfree(); false after the
 * last. write and console may not sleep and find every lock taken.
 */
struct pstore_info {
	const char *name;
	char *buf;
	size_t bufsize;
	enum kmsg_dump_reason max_reason;
	bool has_console, has_pmsg;
	bool (*next_record)(struct pstore_record *record);
	int (*write)(struct pstore_record *record);
	void (*erase)(const struct pstore_record *record);
};
int pstore_register(struct pstore_info *psi);
/* A file for a record; takes record->buf over. */
int pstore_mkfile(const struct pstore_record *record);
extern struct pstore_info *psinfo;
#endif
