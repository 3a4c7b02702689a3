/* Between the log and a backend: dumps at oops and panic, the console, /dev/pmsg0. Mirrors Linux fs/pstore/platform.c and pmsg.c. */
#include <asm/processor.h>
#include <linux/console.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pstore.h>
#include <linux/sched.h>

extern struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; } shadow_timekeeper;
struct pstore_info *psinfo;
static unsigned int oopscount;
static unsigned long kmsg_bytes = 10240;

static int kmsg_bytes_setup(char *value)
{
	kmsg_bytes = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("pstore.kmsg_bytes=", kmsg_bytes_setup);

/* Part 1 has the newest messages. */
static void pstore_dump(struct kmsg_dumper *dumper, enum kmsg_dump_reason reason)
{
	struct kmsg_dump_iter iter;
	size_t total = 0;

	kmsg_dump_rewind(&iter);
	oopscount++;
	for (unsigned int part = 1; total < kmsg_bytes; part++) {
		struct pstore_record record = { .type = PSTORE_TYPE_DMESG, .reason = reason, .part = part, .buf = psinfo->buf,
						.time = shadow_timekeeper.xtime_sec * 1000000000 + sched_clock() % 1000000000 };
		size_t header = snprintf(psinfo->buf, psinfo->bufsize, "%s#%u Part%u\n", kmsg_dump_reason_str(reason), oopscount, part);
		/* The backend's own stamp is in front of it. */
		size_t room = psinfo->bufsize - header - 32, size;

		if (!kmsg_dump_get_buffer(&iter, true, psinfo->buf + header, room, &size))
			break;
		record.size = header + size;
		if (psinfo->write(&record))
			break;
		total += record.size;
	}
}
static struct kmsg_dumper pstore_dumper = { .dump = pstore_dump };

static void pstore_console_write(struct console *con, const char *text, size_t n)
{
	struct pstore_record record = { .type = PSTORE_TYPE_CONSOLE, .buf = (char *)text, .size = n };

	psinfo->write(&record);
}
static struct console pstore_console = { .name = "pstore", .write = pstore_console_write, .index = -1 };

static ssize_t write_pmsg(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	static char chunk[256]; /* the kernel is not preempted in here */

	for (size_t done = 0; done < n;) {
		struct pstore_record record = { .type = PSTORE_TYPE_PMSG, .buf = chunk, .size = min(n - done, sizeof(chunk)) };

		if (copy_from_user(chunk, buf + done, record.size))
			return -EFAULT;
		psinfo->write(&record);
		done += record.size;
	}
	return n;
}
static const struct file_operations pmsg_fops = { .write = write_pmsg };

int pstore_register(struct pstore_info *psi)
{
	struct pstore_record record;

	if (psinfo) {
		pr_warn("pstore: backend '%s' already in use: ignoring '%s'\n", psinfo->name, psi->name);
		return -EBUSY;
	}
	psinfo = psi;
	while (psi->next_record(&record))
		if (pstore_mkfile(&record))
			vfree(record.buf);
	pstore_dumper.max_reason = psi->max_reason;
	kmsg_dump_register(&pstore_dumper);
	if (psi->has_console)
		register_console(&pstore_console);
	if (psi->has_pmsg)
		register_chrdev_node("pmsg0", 250 << 8, &pmsg_fops);
	pr_info("pstore: Registered %s as persistent store backend\n", psi->name);
	return 0;
}
