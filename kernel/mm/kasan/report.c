/*
 * What a report says, in Linux 6.1's words; only the first one is printed unless kasan_multi_shot is given.
 * Mirrors mm/kasan/report.c.
 */
#include "kasan.h"
#include <linux/module.h>
#include <linux/spinlock.h>

#define META_ROWS_AROUND_ADDR 2

/* Reports printed so far: tests look at it. */
unsigned long kasan_report_count;
static bool multi_shot, reported, fault_panic;
static DEFINE_RAW_SPINLOCK(report_lock);

static int kasan_set_multi_shot(char *value)
{
	multi_shot = true;
	return 1;
}
__setup("kasan_multi_shot", kasan_set_multi_shot);

static int kasan_fault_setup(char *value)
{
	fault_panic = !strcmp(value, "panic");
	return 1;
}
early_param("kasan.fault=", kasan_fault_setup);

bool kasan_save_enable_multi_shot(void)
{
	bool was = multi_shot;

	multi_shot = true;
	return was;
}

void kasan_restore_multi_shot(bool enabled)
{
	multi_shot = enabled;
}

static bool report_suppressed(void)
{
	return current->kasan_depth != 0;
}

static bool report_enabled(void)
{
	if (multi_shot)
		return true;
	return !__atomic_test_and_set(&reported, __ATOMIC_SEQ_CST);
}

static unsigned long start_report(void)
{
	unsigned long flags;

	kasan_disable_current();
	raw_spin_lock_irqsave(&report_lock, flags);
	kasan_report_count++;
	pr_err("==================================================================\n");
	return flags;
}

static void end_report(unsigned long flags)
{
	pr_err("==================================================================\n");
	raw_spin_unlock_irqrestore(&report_lock, flags);
	if (!multi_shot && panic_on_warn)
		panic("KASAN: panic_on_warn set ...\n");
	if (fault_panic)
		panic("kasan.fault=panic set ...\n");
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
	kasan_enable_current();
}

static void print_error_description(const struct kasan_report_info *info)
{
	pr_err("BUG: KASAN: %s in %pS\n", info->bug_type, (void *)info->ip);
	if (info->type != KASAN_REPORT_ACCESS)
		pr_err("Free of addr %px by task %s/%d\n", (void *)info->access_addr, current->comm, current->pid);
	else if (info->access_size)
		pr_err("%s of size %zu at addr %px by task %s/%d\n", info->is_write ? "Write" : "Read", info->access_size,
		       (void *)info->access_addr, current->comm, current->pid);
	else
		pr_err("%s at addr %px by task %s/%d\n", info->is_write ? "Write" : "Read", (void *)info->access_addr, current->comm, current->pid);
}

static void print_track(const struct kasan_track *track, const char *prefix)
{
	pr_err("%s by task %u:\n", prefix, track->pid);
	stack_depot_print(track->stack);
}

static void describe_object_addr(struct kmem_cache *cache, void *object, unsigned long addr)
{
	unsigned long start = (unsigned long)object;
	const char *rel_type = "inside";
	int rel_bytes = addr - start;

	pr_err("The buggy address belongs to the object at %px\n which belongs to the cache %s of size %d\n", object, cache->name, cache->object_size);
	if (addr < start) {
		rel_type = "to the left";
		rel_bytes = start - addr;
	} else if (addr >= start + cache->object_size) {
		rel_type = "to the right";
		rel_bytes = addr - (start + cache->object_size);
	}
	pr_err("The buggy address is located %d bytes %s of\n %d-byte region [%px, %px)\n", rel_bytes, rel_type, cache->object_size,
	       (void *)start, (void *)(start + cache->object_size));
}

static void describe_object(const struct kasan_report_info *info)
{
	if (info->alloc_track.stack) {
		print_track(&info->alloc_track, "Allocated");
		pr_err("\n");
	}
	if (info->free_track.stack) {
		print_track(&info->free_track, "Freed");
		pr_err("\n");
	}
	describe_object_addr(info->cache, info->object, (unsigned long)kasan_reset_tag((void *)info->access_addr));
}

static struct page *addr_to_page(unsigned long addr)
{
	return addr >= PAGE_OFFSET && addr < (unsigned long)high_memory ? virt_to_head_page((void *)addr) : NULL;
}

static bool kernel_or_module_addr(unsigned long addr)
{
	return (addr >= (unsigned long)_text && addr < (unsigned long)_end) || (addr >= MODULES_VADDR && addr < MODULES_END);
}

bool object_is_on_stack(const void *addr)
{
	return (char *)addr >= (char *)current->stack && (char *)addr < (char *)current->stack + THREAD_SIZE;
}

static void print_address_description(const struct kasan_report_info *info)
{
	unsigned long addr = (unsigned long)kasan_reset_tag((void *)info->access_addr);
	struct page *page = addr_to_page(addr);

	dump_stack_lvl(KERN_ERR);
	pr_err("\n");
	if (info->object) {
		describe_object(info);
		pr_err("\n");
	}
	if (kernel_or_module_addr(addr) && !(addr >= (unsigned long)&init_stack && addr < (unsigned long)(&init_stack + 1))) {
		pr_err("The buggy address belongs to the variable:\n %pS\n", (void *)addr);
		pr_err("\n");
	}
	if (object_is_on_stack((void *)addr)) {
		kasan_print_address_stack_frame((void *)addr);
		pr_err("\n");
	}
	if (is_vmalloc_addr((void *)addr)) {
		struct vmap_area *va = find_vmap_area(addr);

		if (va)
			pr_err("The buggy address belongs to a %u-page vmalloc region starting at 0x%px allocated at %pS\n",
			       va->vm->nr_pages, va->vm->addr, va->vm->caller);
		else
			pr_err("The buggy address belongs to a vmalloc virtual mapping\n");
		if (va)
			page = vmalloc_to_page((void *)addr);
	}
	if (page) {
		pr_err("The buggy address belongs to the physical page:\n");
		dump_page(page, "kasan: bad access detected");
		pr_err("\n");
	}
}

static int meta_pointer_offset(unsigned long row, unsigned long addr)
{
	/* `>ffff888000000000: ` and three characters a byte; the pointer goes under its first digit */
	return 3 + (64 / 8) * 2 + (addr - row) / KASAN_GRANULE_SIZE * 3 + 1;
}

static void print_memory_metadata(unsigned long addr)
{
	unsigned long row = (addr & ~(META_MEM_BYTES_PER_ROW - 1)) - META_ROWS_AROUND_ADDR * META_MEM_BYTES_PER_ROW;

	pr_err("Memory state around the buggy address:\n");
	for (int i = -META_ROWS_AROUND_ADDR; i <= META_ROWS_AROUND_ADDR; i++, row += META_MEM_BYTES_PER_ROW) {
		u8 metadata[META_BYTES_PER_ROW];
		char line[64];
		int n;

		kasan_metadata_fetch_row(metadata, (void *)row);
		n = scnprintf(line, sizeof(line), i ? " " : ">");
		for (int k = 0; k < META_BYTES_PER_ROW; k++)
			n += scnprintf(line + n, sizeof(line) - n, " %02x", metadata[k]);
		pr_err("%c%px:%s\n", line[0], (void *)row, line + 1);
		if (!i)
			pr_err("%*c\n", meta_pointer_offset(row, addr), '^');
	}
}

static noinline void print_report(struct kasan_report_info *info)
{
	print_error_description(info);
	if (kasan_tags())
		kasan_print_tags(info);
	pr_err("\n");
	if (!addr_has_metadata(info->access_addr) && !kasan_tags()) {
		dump_stack_lvl(KERN_ERR);
		return;
	}
	print_address_description(info);
	print_memory_metadata(info->first_bad_addr);
}

static void complete_report_info(struct kasan_report_info *info)
{
	struct page *page = addr_to_page((unsigned long)kasan_reset_tag((void *)info->access_addr));

	if (kasan_tags())
		info->first_bad_addr = kasan_tags_find_first_bad_addr(info->access_addr, info->type == KASAN_REPORT_ACCESS ? info->access_size : 0);
	else
		info->first_bad_addr = info->type == KASAN_REPORT_ACCESS ? kasan_find_first_bad_addr(info->access_addr, info->access_size) : info->access_addr;
	if (page && PageSlab(page)) {
		info->cache = page->slab_cache;
		info->object = nearest_obj(info->cache, page, (void *)info->access_addr);
	}
	if (info->type != KASAN_REPORT_ACCESS)
		info->bug_type = info->type == KASAN_REPORT_INVALID_FREE ? "invalid-free" : "double-free";
	if (kasan_tags())
		kasan_tags_complete_report_info(info);
	else
		kasan_complete_mode_report_info(info);
}

noinline void kasan_report_invalid_free(void *ptr, unsigned long ip, enum kasan_report_type type)
{
	struct kasan_report_info info = { .type = type, .access_addr = (unsigned long)ptr, .ip = ip };
	unsigned long flags;

	if (report_suppressed() || !report_enabled())
		return;
	flags = start_report();
	complete_report_info(&info);
	print_report(&info);
	end_report(flags);
}

/* True: it was printed. */
noinline bool kasan_report(unsigned long addr, size_t size, bool is_write, unsigned long ip)
{
	struct kasan_report_info info = { .access_addr = addr, .access_size = size, .is_write = is_write, .ip = ip };
	unsigned long flags;

	if (report_suppressed() || !report_enabled())
		return false;
	flags = start_report();
	complete_report_info(&info);
	print_report(&info);
	end_report(flags);
	return true;
}

/* Of an access that was let through: all that is known is that there was one (Linux: the same name). */
void kasan_report_async(void)
{
	unsigned long flags;

	if (!report_enabled())
		return;
	flags = start_report();
	pr_err("BUG: KASAN: invalid-access\n");
	pr_err("Asynchronous fault: no details available\n");
	pr_err("\n");
	dump_stack_lvl(KERN_ERR);
	end_report(flags);
}

/* A page fault or #GP at an address that only the shadow has: which memory was it about? (Linux: the same name) */
void kasan_non_canonical_hook(unsigned long addr)
{
	unsigned long orig_addr;
	const char *bug_type;

	if (!kasan_enabled || kasan_tags() || addr < KASAN_SHADOW_OFFSET)
		return;
	orig_addr = (unsigned long)kasan_shadow_to_mem((void *)addr);
	bug_type = orig_addr < PAGE_SIZE ? "null-ptr-deref" : orig_addr < TASK_SIZE ? "probably user-memory-access" : addr_has_metadata(orig_addr) ? NULL : "maybe wild-memory-access";
	if (bug_type)
		pr_alert("KASAN: %s in range [0x%016lx-0x%016lx]\n", bug_type, orig_addr, orig_addr + KASAN_GRANULE_SIZE - 1);
}
EXPORT_SYMBOL(kasan_report_count);
EXPORT_SYMBOL(kasan_save_enable_multi_shot);
EXPORT_SYMBOL(kasan_restore_multi_shot);
