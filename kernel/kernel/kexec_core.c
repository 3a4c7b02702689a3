/*
 * Another kernel beside this one. An image for a crash is copied at once to the memory that crashkernel= kept free,
 * so that nothing has to be moved, or trusted, when this kernel has failed. An ordinary image waits in pages from
 * everywhere; a list of entries says where each belongs, and relocate_kernel moves them when nothing else runs.
 * Mirrors Linux kernel/kexec_core.c and crash_reserve.c.
 */
#include <asm/processor.h>
#include <asm/tlbflush.h>
#include <linux/boot.h>
#include <linux/kexec.h>
#include <linux/mm.h>

#define CRASH_ALIGN (2UL << 20)
#define DIRECT_MAP_END (1UL << 30)

struct kimage *kexec_image, *kexec_crash_image;
struct resource crashk_res = { .name = "Crash kernel" };

/* ---- the reservation ---- */

bool in_crashkernel(unsigned long phys)
{
	return crashk_reserved() && phys >= crashk_res.start && phys <= crashk_res.end;
}

static unsigned long memparse(const char *s, const char **end)
{
	char *after;
	unsigned long value = simple_strtoul(s, &after, 0);

	switch (*after | 0x20) {
	case 'g':
		value <<= 10; /* fall through */
	case 'm':
		value <<= 10; /* fall through */
	case 'k':
		value <<= 10;
		after++;
	}
	*end = after;
	return value;
}

static unsigned long system_ram(void)
{
	unsigned long total = 0;

	for (int i = 0; i < e820_count; i++)
		if (e820_table[i].type == E820_RAM)
			total += e820_table[i].size;
	return total;
}

/* SIZE[@OFFSET], or RANGE:SIZE[,RANGE:SIZE...][@OFFSET] with RANGE = START-[END]; 0 when it asks for nothing. */
static unsigned long parse_crashkernel(const char *s, unsigned long *base)
{
	unsigned long size = memparse(s, &s), ram = system_ram();

	if (*s == '-') {
		unsigned long start = size, end, wanted = 0;

		for (;;) {
			s++; /* the minus */
			end = *s == ':' ? ~0UL : memparse(s, &s);
			if (*s != ':' || end <= start)
				return 0;
			size = memparse(s + 1, &s);
			if (ram >= start && ram < end)
				wanted = size;
			if (*s != ',')
				break;
			start = memparse(s + 1, &s);
			if (*s != '-')
				return 0;
		}
		size = wanted;
	}
	*base = *s == '@' ? memparse(s + 1, &s) : 0;
	return *s && *s != ' ' && strncmp(s, ",high", 5) && strncmp(s, ",low", 4) ? 0 : size;
}

static bool is_free(unsigned long start, unsigned long size, unsigned long lowest)
{
	if (start < lowest || start + size < start || start + size > DIRECT_MAP_END)
		return false;
	if (start < initrd_start + initrd_size && initrd_start < start + size)
		return false;
	for (int i = 0; i < e820_count; i++)
		if (e820_table[i].type == E820_RAM && start >= e820_table[i].addr && start + size <= e820_table[i].addr + e820_table[i].size)
			return true;
	return false;
}

void reserve_crashkernel(const char *cmdline, unsigned long lowest)
{
	const char *option = NULL;
	unsigned long size, base, at;

	for (const char *s = cmdline; (s = strstr(s, "crashkernel=")); s++)
		if (s == cmdline || s[-1] == ' ')
			option = s + 12;
	if (!option)
		return;
	size = ALIGN(parse_crashkernel(option, &base), CRASH_ALIGN);
	if (!size) {
		pr_warn("crashkernel: memory value expected\n");
		return;
	}
	at = base;
	if (!at) /* the highest place */
		for (at = DIRECT_MAP_END - ALIGN(min(size, DIRECT_MAP_END), CRASH_ALIGN); at > lowest && !is_free(at, size, lowest);)
			at -= CRASH_ALIGN;
	if (at & (CRASH_ALIGN - 1) || !is_free(at, size, lowest)) {
		pr_info("crashkernel reservation failed - %s.\n", base ? "memory is in use" : "No suitable area found");
		return;
	}
	crashk_res.start = at;
	crashk_res.end = at + size - 1;
	pr_info("Reserving %luMB of memory at %luMB for crashkernel (System RAM: %luMB)\n", size >> 20, at >> 20, system_ram() >> 20);
}

/* ---- images ---- */

static bool in_segments(const struct kimage *image, unsigned long phys, unsigned long size)
{
	for (unsigned long i = 0; i < image->nr_segments; i++)
		if (phys < image->segment[i].mem + image->segment[i].memsz && image->segment[i].mem < phys + size)
			return true;
	return false;
}

static bool is_ram(unsigned long start, unsigned long end)
{
	for (int i = 0; i < e820_count; i++)
		if (e820_table[i].type == E820_RAM && start >= e820_table[i].addr && end <= e820_table[i].addr + e820_table[i].size)
			return true;
	return false;
}

static int sanity_check_segments(const struct kimage *image)
{
	bool entry_found = false;
	unsigned long total = 0;

	for (unsigned long i = 0; i < image->nr_segments; i++) {
		const struct kexec_segment *s = &image->segment[i];
		unsigned long end = s->mem + s->memsz;

		if (s->mem & ~PAGE_MASK || s->memsz & ~PAGE_MASK || end <= s->mem || s->mem < PAGE_SIZE || end > DIRECT_MAP_END)
			return -EADDRNOTAVAIL;
		if (s->bufsz > s->memsz)
			return -EINVAL;
		for (unsigned long j = 0; j < i; j++)
			if (s->mem < image->segment[j].mem + image->segment[j].memsz && image->segment[j].mem < end)
				return -EINVAL;
		if (image->type == KEXEC_TYPE_CRASH ? !crashk_reserved() || s->mem < crashk_res.start || end - 1 > crashk_res.end : !is_ram(s->mem, end))
			return -EADDRNOTAVAIL;
		entry_found |= image->start >= s->mem && image->start < end;
		total += s->memsz >> PAGE_SHIFT;
	}
	if (image->type == KEXEC_TYPE_DEFAULT && total > nr_free_pages() / 2)
		return -EINVAL;
	return entry_found ? 0 : -EADDRNOTAVAIL;
}

/* Pages which no segment will be moved onto. Those that do not suit are kept aside until all is loaded. */
static struct page *alloc_outside(struct kimage *image, unsigned int order, struct list_head *unsuitable)
{
	for (;;) {
		struct page *page = alloc_pages(GFP_KERNEL, order);

		if (!page)
			return NULL;
		page->private = order;
		if (!in_segments(image, page_to_pfn(page) << PAGE_SHIFT, PAGE_SIZE << order))
			return page;
		list_add(&page->lru, unsuitable);
	}
}

static void free_list(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		unsigned int order = page->private;

		list_del_init(&page->lru);
		page->private = 0;
		__free_pages(page, order);
	}
}

static int add_entry(struct kimage *image, kimage_entry_t entry, struct list_head *unsuitable)
{
	if (image->entry == image->last_entry) {
		struct page *page = image->nr_pages < (int)ARRAY_SIZE(image->pages) ? alloc_outside(image, 0, unsuitable) : NULL;

		if (!page)
			return -ENOMEM;
		image->pages[image->nr_pages++] = page;
		memset(page_address(page), 0, PAGE_SIZE);
		*image->entry = page_to_pfn(page) << PAGE_SHIFT | IND_INDIRECTION;
		image->entry = page_address(page);
		image->last_entry = image->entry + PAGE_SIZE / sizeof(kimage_entry_t) - 1;
	}
	*image->entry++ = entry;
	*image->entry = 0;
	return 0;
}

static int find_control_pages(struct kimage *image)
{
	LIST_HEAD(unsuitable);

	if (image->type == KEXEC_TYPE_DEFAULT) {
		struct page *page = alloc_outside(image, 2, &unsuitable);

		free_list(&unsuitable);
		if (!page)
			return -ENOMEM;
		image->control_pages = page_to_pfn(page) << PAGE_SHIFT;
		return 0;
	}
	for (unsigned long at = crashk_res.start; at + KEXEC_CONTROL_PAGES * PAGE_SIZE <= crashk_res.end + 1; at += PAGE_SIZE)
		if (!in_segments(image, at, KEXEC_CONTROL_PAGES * PAGE_SIZE)) {
			image->control_pages = at;
			return 0;
		}
	return -ENOMEM;
}

struct kimage *kimage_create(unsigned long start, int type, const struct kexec_segment *segments, unsigned long n)
{
	struct kimage *image = n <= KEXEC_SEGMENT_MAX ? kzalloc(sizeof(*image), GFP_KERNEL) : NULL;
	int err;

	if (!image)
		return ERR_PTR(n <= KEXEC_SEGMENT_MAX ? -ENOMEM : -EINVAL);
	image->start = start;
	image->type = type;
	image->nr_segments = n;
	image->entry = image->last_entry = &image->head;
	memcpy(image->segment, segments, n * sizeof(*segments));
	err = sanity_check_segments(image);
	if (!err)
		err = find_control_pages(image);
	if (err) {
		kfree(image);
		return ERR_PTR(err);
	}
	return image;
}

/* One page of a segment: what the buffer has for it, zeroes behind. */
static int fill_page(void *to, const struct kexec_segment *s, unsigned long offset, bool from_user)
{
	size_t n = offset < s->bufsz ? min(s->bufsz - offset, (size_t)PAGE_SIZE) : 0;

	memset((char *)to + n, 0, PAGE_SIZE - n);
	if (from_user)
		return copy_from_user(to, (const char *)s->buf + offset, n) ? -EFAULT : 0;
	memcpy(to, (const char *)s->buf + offset, n);
	return 0;
}

static int kimage_load(struct kimage *image, bool from_user)
{
	LIST_HEAD(unsuitable);
	int err = 0;

	for (unsigned long i = 0; i < image->nr_segments && !err; i++) {
		const struct kexec_segment *s = &image->segment[i];

		if (image->type == KEXEC_TYPE_DEFAULT)
			err = add_entry(image, s->mem | IND_DESTINATION, &unsuitable);
		for (unsigned long offset = 0; offset < s->memsz && !err; offset += PAGE_SIZE) {
			struct page *page;

			if (image->type == KEXEC_TYPE_CRASH) {
				err = fill_page(__va(s->mem + offset), s, offset, from_user);
				continue;
			}
			page = alloc_outside(image, 0, &unsuitable);
			err = page ? add_entry(image, page_to_pfn(page) << PAGE_SHIFT | IND_SOURCE, &unsuitable) : -ENOMEM;
			if (!err)
				err = fill_page(page_address(page), s, offset, from_user);
			else if (page)
				__free_pages(page, 0);
		}
	}
	*image->entry = IND_DONE;
	free_list(&unsuitable);
	return err ? err : machine_kexec_prepare(image);
}

static void kimage_free(struct kimage *image)
{
	if (!image)
		return;
	if (image->type == KEXEC_TYPE_DEFAULT) {
		for (kimage_entry_t *entry = &image->head; *entry && !(*entry & IND_DONE);) {
			if (*entry & IND_SOURCE)
				free_page((unsigned long)__va(*entry & PAGE_MASK));
			entry = *entry & IND_INDIRECTION ? __va(*entry & PAGE_MASK) : entry + 1;
		}
		for (int i = 0; i < image->nr_pages; i++)
			__free_pages(image->pages[i], 0);
		__free_pages(pfn_to_page(image->control_pages >> PAGE_SHIFT), 2);
	}
	kfree(image);
}

/* The crash kernel's memory loses its write permission, so that a failing kernel cannot spoil it by accident. */
static void protect_crashkres(bool protect)
{
	for (unsigned long at = crashk_res.start; at < crashk_res.end; at += PAGE_SIZE) {
		unsigned long *pte = pte_of(init_top_pgt, (unsigned long)__va(at), false);

		if (pte && *pte & _PAGE_PRESENT)
			*pte = protect ? *pte & ~_PAGE_RW : *pte | _PAGE_RW;
	}
	flush_tlb_all();
}

/* Loads into a slot what was made for it, in place of what was there. An image for a crash is protected. */
int kexec_install(struct kimage **slot, struct kimage *image, bool from_user)
{
	struct kimage *old = *slot;
	int err = 0;

	*slot = NULL;
	if (slot == &kexec_crash_image && crashk_reserved())
		protect_crashkres(false);
	kimage_free(old);
	if (image) {
		err = kimage_load(image, from_user);
		if (err)
			kimage_free(image);
		else
			*slot = image;
	}
	if (slot == &kexec_crash_image && *slot)
		protect_crashkres(true);
	return err;
}

/* reboot(LINUX_REBOOT_CMD_KEXEC) */
int kernel_kexec(void)
{
	if (!kexec_image)
		return -EINVAL;
	pr_emerg("kexec_core: Starting new kernel\n");
	machine_kexec(kexec_image);
	return 0;
}
