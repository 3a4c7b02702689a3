/*
 * ramoops: records in a piece of RAM that `memmap=` has taken from the kernel and that a restart does not clear.
 *
 *     mem_address: dmesg records of record_size each | console | ftrace (stays empty) | pmsg
 *
 * A dmesg record starts with `====SECONDS.MICROSECONDS-D` and a newline. Parameters and layout are Linux's
 * (fs/pstore/ram.c, Documentation/admin-guide/ramoops.rst); there is no ECC and no compression.
 */
#include <linux/boot.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/pstore.h>
#include <linux/pstore_ram.h>
#include <linux/sched.h>

#define MIN_MEM_SIZE 4096UL
#define DIRECT_MAP_END (1UL << 30)
#define MAX_RECORDS 1024
static unsigned long mem_address, mem_size, record_size = MIN_MEM_SIZE, console_size = MIN_MEM_SIZE;
static unsigned long ftrace_size = MIN_MEM_SIZE, pmsg_size = MIN_MEM_SIZE;
static unsigned long max_reason = KMSG_DUMP_OOPS, dump_oops = 1, ecc;

#define PARAMETER(name)                                        \
	static int set_##name(char *value)                     \
	{                                                      \
		name = simple_strtoul(value, NULL, 0);         \
		return 1;                                      \
	}                                                      \
	__setup("ramoops." #name "=", set_##name)
PARAMETER(mem_address);
PARAMETER(mem_size);
PARAMETER(record_size);
PARAMETER(console_size);
PARAMETER(ftrace_size);
PARAMETER(pmsg_size);
PARAMETER(max_reason);
PARAMETER(dump_oops);
PARAMETER(ecc);

extern struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; } shadow_timekeeper;
static struct persistent_ram_zone *dprzs, cprz, mprz;
static unsigned long max_dump_count, dump_write_count;
static char dump_stamp[32];

/* Reading: the dmesg records first, then console and pmsg. */
static unsigned long read_at;
static char *old_console, *old_pmsg;
static size_t old_console_size, old_pmsg_size;

static bool next_dump(struct pstore_record *record)
{
	while (read_at < max_dump_count) {
		struct persistent_ram_zone *prz = &dprzs[read_at++];
		char *text = vmalloc(prz->buffer_size + 1), *end;
		size_t size = text ? persistent_ram_read(prz, text) : 0;

		if (size) {
			text[size] = 0;
			if (!strncmp(text, "====", 4)) {
				unsigned long seconds = simple_strtoul(text + 4, &end, 10), micros;

				micros = *end == '.' ? simple_strtoul(end + 1, &end, 10) : 0;
				if (!strncmp(end, "-D\n", 3)) {
					*record = (struct pstore_record){ .type = PSTORE_TYPE_DMESG, .id = read_at - 1, .buf = text,
									  .time = seconds * 1000000000 + micros * 1000,
									  .size = size - (end + 3 - text) };
					memmove(text, end + 3, record->size);
					return true;
				}
			}
			persistent_ram_zap(prz); /* not ours, or damaged */
		}
		vfree(text);
	}
	return false;
}

static bool ramoops_next_record(struct pstore_record *record)
{
	if (next_dump(record))
		return true;
	if (old_console) {
		*record = (struct pstore_record){ .type = PSTORE_TYPE_CONSOLE, .buf = old_console, .size = old_console_size };
		old_console = NULL;
		return true;
	}
	if (old_pmsg) {
		*record = (struct pstore_record){ .type = PSTORE_TYPE_PMSG, .buf = old_pmsg, .size = old_pmsg_size };
		old_pmsg = NULL;
		return true;
	}
	return false;
}

/* Only the first part of a dump is kept: the newest messages. */
static int ramoops_write(struct pstore_record *record)
{
	struct persistent_ram_zone *prz;
	size_t n;

	if (record->type == PSTORE_TYPE_CONSOLE || record->type == PSTORE_TYPE_PMSG) {
		prz = record->type == PSTORE_TYPE_CONSOLE ? &cprz : &mprz;
		persistent_ram_write(prz, record->buf, record->size);
		return 0;
	}
	if (record->part != 1)
		return -ENOSPC;
	prz = &dprzs[dump_write_count];
	persistent_ram_zap(prz);
	n = snprintf(dump_stamp, sizeof(dump_stamp), "====%lu.%06lu-D\n", (unsigned long)(record->time / 1000000000),
		     (unsigned long)(record->time % 1000000000 / 1000));
	persistent_ram_write(prz, dump_stamp, n);
	persistent_ram_write(prz, record->buf, min(record->size, prz->buffer_size - n));
	dump_write_count = (dump_write_count + 1) % max_dump_count;
	return 0;
}

static void ramoops_erase(const struct pstore_record *record)
{
	if (record->type == PSTORE_TYPE_DMESG && record->id < max_dump_count)
		persistent_ram_zap(&dprzs[record->id]);
}

static struct pstore_info ramoops = { .name = "ramoops", .next_record = ramoops_next_record, .write = ramoops_write, .erase = ramoops_erase };

static unsigned long rounddown_pow_of_two(unsigned long n)
{
	return n ? 1UL << (63 - __builtin_clzl(n)) : 0;
}

/* A zone that starts empty; what it had is kept for a file. */
static char *take_zone(struct persistent_ram_zone *prz, u64 phys, size_t size, const char *label, size_t *old_size)
{
	char *old;

	persistent_ram_init(prz, phys, size, label);
	old = prz->buffer->size.counter ? vmalloc(prz->buffer_size) : NULL;
	if (old)
		*old_size = persistent_ram_read(prz, old);
	persistent_ram_zap(prz);
	return old;
}

static int ramoops_init(void)
{
	unsigned long *sizes[] = { &record_size, &console_size, &ftrace_size, &pmsg_size }, dumps, at;

	if (!mem_address && !mem_size)
		return -ENODEV;
	mem_size = rounddown_pow_of_two(mem_size);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		*sizes[i] = rounddown_pow_of_two(*sizes[i]);
		if (*sizes[i] && *sizes[i] < MIN_MEM_SIZE)
			*sizes[i] = MIN_MEM_SIZE;
	}
	if (!mem_size || !record_size) {
		pr_err("ramoops: The memory size and the record/console size must be non-zero\n");
		return -EINVAL;
	}
	if (ecc)
		pr_warn("ramoops: no ECC here, ecc=%lu has no effect\n", ecc);
	if (mem_address & (PAGE_SIZE - 1) || mem_size > DIRECT_MAP_END || mem_address > DIRECT_MAP_END - mem_size ||
	    e820_any_mapped(mem_address, mem_address + mem_size, E820_RAM) ||
	    !e820_any_mapped(mem_address, mem_address + mem_size, E820_RESERVED)) {
		pr_err("ramoops: request mem region (ramoops 0x%lx@0x%lx) failed\n", mem_size, mem_address);
		return -ENOMEM;
	}
	if (console_size + ftrace_size + pmsg_size >= mem_size || mem_size - console_size - ftrace_size - pmsg_size < record_size) {
		pr_err("ramoops: zone too small for its parts\n");
		return -EINVAL;
	}
	dumps = mem_size - console_size - ftrace_size - pmsg_size;
	max_dump_count = min(dumps / record_size, (unsigned long)MAX_RECORDS);
	dprzs = kzalloc(max_dump_count * sizeof(*dprzs), GFP_KERNEL);
	ramoops.bufsize = record_size - sizeof(struct persistent_ram_buffer);
	ramoops.buf = vmalloc(ramoops.bufsize);
	if (!dprzs || !ramoops.buf)
		return -ENOMEM;
	for (unsigned long i = 0; i < max_dump_count; i++)
		persistent_ram_init(&dprzs[i], mem_address + i * record_size, record_size, "dmesg");
	at = mem_address + max_dump_count * record_size;
	if (console_size)
		old_console = take_zone(&cprz, at, console_size, "console", &old_console_size);
	at += console_size + ftrace_size;
	if (pmsg_size)
		old_pmsg = take_zone(&mprz, at, pmsg_size, "pmsg", &old_pmsg_size);
	ramoops.has_console = console_size;
	ramoops.has_pmsg = pmsg_size;
	ramoops.max_reason = dump_oops ? max_reason : KMSG_DUMP_PANIC;
	pr_info("ramoops: using 0x%lx@0x%lx, ecc: %d\n", mem_size, mem_address, 0);
	return pstore_register(&ramoops);
}
device_initcall(ramoops_init);
