/* KFENCE's reports, in Linux 6.1's words. Mirrors mm/kfence/report.c. */
#include "kfence.h"
#include <asm/stacktrace.h>
#include <linux/fs.h>
#include <linux/module.h>

static void seq_con_printf(struct seq_file *seq, const char *fmt, ...) __printf(2, 3);
static void seq_con_printf(struct seq_file *seq, const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (seq)
		seq_printf(seq, "%s", line);
	else
		printk(KERN_ERR "%s", line);
}

/* How many of the first frames are KFENCE's and the allocator's; the rest is their caller's. */
static unsigned int get_stack_skipnr(const unsigned long *entries, unsigned int n)
{
	static const char *const entry_points[] = { "kfree", "kmem_cache_free", "kmalloc", "kzalloc", "kmem_cache_alloc" };
	unsigned int fallback = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned long size, offset;
		char *module = NULL;
		const char *name = kallsyms_lookup(entries[i] - 1, &size, &offset, &module);

		if (!name || module)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(entry_points); k++)
			if (!strcmp(name, entry_points[k]))
				return i + 1 < n ? i + 1 : 0;
		/* an entry point that has become part of a function which is not one: krealloc(), or RCU */
		if (!strncmp(name, "kfence_", 7) || !strncmp(name, "__kfence_", 9) || !strcmp(name, "rcu_guarded_free"))
			fallback = i + 1;
	}
	return fallback < n ? fallback : 0;
}

static void kfence_print_stack(struct seq_file *seq, const struct kfence_metadata *meta, bool show_alloc)
{
	const struct kfence_track *track = show_alloc ? &meta->alloc_track : &meta->free_track;

	seq_con_printf(seq, "%s by task %d on cpu %d at %lu.%06lus:\n", show_alloc ? "allocated" : "freed", track->pid, track->cpu,
		       (unsigned long)(track->ts_nsec / 1000000000), (unsigned long)(track->ts_nsec % 1000000000 / 1000));
	if (!track->num_stack_entries)
		seq_con_printf(seq, " no %s stack\n", show_alloc ? "allocation" : "deallocation");
	else
		for (unsigned int i = get_stack_skipnr(track->stack_entries, track->num_stack_entries); i < track->num_stack_entries; i++)
			seq_con_printf(seq, " %pS\n", (void *)track->stack_entries[i]);
}

void kfence_print_object(struct seq_file *seq, const struct kfence_metadata *meta)
{
	long index = meta - kfence_metadata;

	if (meta->state == KFENCE_OBJECT_UNUSED) {
		seq_con_printf(seq, "kfence-#%ld unused\n", index);
		return;
	}
	seq_con_printf(seq, "kfence-#%ld: 0x%p-0x%p, size=%d, cache=%s\n\n", index, (void *)meta->addr,
		       (void *)(meta->addr + meta->size - 1), (int)meta->size, meta->cache ? meta->cache->name : "<destroyed>");
	kfence_print_stack(seq, meta, true);
	if (meta->state == KFENCE_OBJECT_FREED) {
		seq_con_printf(seq, "\n");
		kfence_print_stack(seq, meta, false);
	}
}

/* `[ 0x2a . . . ]`, a dot for a byte as it should be; nothing of the object, nothing of the guard behind it. */
static void print_diff_canary(unsigned long address, size_t bytes_to_show, const struct kfence_metadata *meta)
{
	unsigned long page_end = (address & PAGE_MASK) + PAGE_SIZE;
	unsigned long end = min(address + bytes_to_show, address < meta->addr ? meta->addr : page_end);

	pr_cont("[");
	for (unsigned long at = address; at < end; at++)
		if (*(u8 *)at == KFENCE_CANARY_PATTERN(at))
			pr_cont(" .");
		else if (no_hash_pointers)
			pr_cont(" 0x%02x", *(u8 *)at);
		else
			pr_cont(" !");
	pr_cont(" ]");
}

void kfence_report_error(unsigned long address, bool is_write, struct pt_regs *regs, const struct kfence_metadata *meta,
			 enum kfence_error_type type)
{
	unsigned long entries[KFENCE_STACK_DEPTH];
	const char *access = is_write ? "write" : "read";
	long index = meta ? meta - kfence_metadata : -1;
	unsigned int n, skip = 0;

	if (regs)
		n = stack_trace_save_regs(regs, entries, KFENCE_STACK_DEPTH);
	else {
		n = stack_trace_save(entries, KFENCE_STACK_DEPTH, 0);
		skip = get_stack_skipnr(entries, n);
	}
	pr_err("==================================================================\n");
	switch (type) {
	case KFENCE_ERROR_OOB: {
		bool left = address < meta->addr;

		pr_err("BUG: KFENCE: out-of-bounds %s in %pS\n\n", access, (void *)entries[skip]);
		pr_err("Out-of-bounds %s at 0x%p (%luB %s of kfence-#%ld):\n", access, (void *)address,
		       left ? meta->addr - address : address - meta->addr, left ? "left" : "right", index);
		break;
	}
	case KFENCE_ERROR_UAF:
		pr_err("BUG: KFENCE: use-after-free %s in %pS\n\n", access, (void *)entries[skip]);
		pr_err("Use-after-free %s at 0x%p (in kfence-#%ld):\n", access, (void *)address, index);
		break;
	case KFENCE_ERROR_CORRUPTION:
		pr_err("BUG: KFENCE: memory corruption in %pS\n\n", (void *)entries[skip]);
		pr_err("Corrupted memory at 0x%p ", (void *)address);
		print_diff_canary(address, 16, meta);
		pr_cont(" (in kfence-#%ld):\n", index);
		break;
	case KFENCE_ERROR_INVALID:
		pr_err("BUG: KFENCE: invalid %s in %pS\n\n", access, (void *)entries[skip]);
		pr_err("Invalid %s at 0x%p:\n", access, (void *)address);
		break;
	case KFENCE_ERROR_INVALID_FREE:
		pr_err("BUG: KFENCE: invalid free in %pS\n\n", (void *)entries[skip]);
		pr_err("Invalid free of 0x%p (in kfence-#%ld):\n", (void *)address, index);
		break;
	}
	for (unsigned int i = skip; i < n; i++)
		pr_err(" %pS\n", (void *)entries[i]);
	if (meta) {
		pr_err("\n");
		kfence_print_object(NULL, meta);
	}
	pr_err("\n");
	if (no_hash_pointers && regs)
		show_regs(regs);
	else
		dump_stack_print_info(KERN_ERR);
	pr_err("==================================================================\n");
	if (panic_on_warn)
		panic("KFENCE: panic_on_warn set ...\n");
	add_taint(TAINT_BAD_PAGE, LOCKDEP_STILL_OK);
}
