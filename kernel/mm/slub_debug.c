/*
 * Debugging of the slab allocator, on for the caches that `slub_debug=FLAGS,CACHES` names: F consistency checks,
 * Z red zones, P poison, U who allocated and freed. An object then lies in its slot like this:
 *
 *   left red zone | object (6b..6b a5 when free) | red zone (bb free, cc in use) | free pointer | tracks | 5a padding
 *
 * Reports and their repairs are in Linux's words. Mirrors Linux 5.15 mm/slub.c (its CONFIG_SLUB_DEBUG part).
 */
#include <asm/processor.h>
#include <asm/stacktrace.h>
#include <linux/module.h>
#include "slab.h"

#define TRACK_ADDRS_COUNT 16
struct track { unsigned long addr, addrs[TRACK_ADDRS_COUNT]; int cpu, pid; unsigned long when; };
enum track_item { TRACK_ALLOC, TRACK_FREE };

slab_flags_t slub_debug;
static char slub_debug_caches[256];
void no_hash_pointers_enable(void);

static int setup_slub_debug(char *value)
{
	const char *caches = strchr(value, ',');

	if (!*value || *value == ',')
		slub_debug = SLAB_DEBUG_FLAGS;
	for (; *value && *value != ','; value++)
		switch (*value | 32) {
		case 'f':
			slub_debug |= SLAB_CONSISTENCY_CHECKS;
			break;
		case 'z':
			slub_debug |= SLAB_RED_ZONE;
			break;
		case 'p':
			slub_debug |= SLAB_POISON;
			break;
		case 'u':
			slub_debug |= SLAB_STORE_USER;
			break;
		case '-':
			slub_debug = 0;
			break;
		default:
			pr_err("SLUB: slub_debug option '%c' unknown. skipped\n", *value);
		}
	if (caches)
		strscpy(slub_debug_caches, caches + 1, sizeof(slub_debug_caches));
	if (slub_debug)
		no_hash_pointers_enable();
	return 1;
}
early_param("slub_debug=", setup_slub_debug);
early_param("slub_debug", setup_slub_debug);

/* Whether the comma-separated list names the cache, with `*` for any end. */
static bool listed(const char *name)
{
	for (const char *at = slub_debug_caches; *at;) {
		const char *end = strchr(at, ',');
		size_t length = end ? (size_t)(end - at) : strlen(at);

		if (length && at[length - 1] == '*' ? !strncmp(name, at, length - 1) : strlen(name) == length && !strncmp(name, at, length))
			return true;
		at += length + (end ? 1 : 0);
	}
	return false;
}

slab_flags_t kmem_cache_flags(const char *name, slab_flags_t flags)
{
	return slub_debug && (!slub_debug_caches[0] || listed(name)) ? flags | slub_debug : flags;
}

void calculate_debug_sizes(struct kmem_cache *s)
{
	unsigned int size = ALIGN(s->object_size, 8u);

	if (s->flags & SLAB_POISON && !s->ctor)
		s->flags |= __OBJECT_POISON;
	if (s->flags & SLAB_RED_ZONE && size == s->object_size)
		size += sizeof(void *);
	s->inuse = size;
	if (s->flags & SLAB_POISON || s->ctor) {
		s->offset = size;
		size += sizeof(void *);
	} else
		s->offset = (s->object_size / 2) & ~7u;
	if (s->flags & SLAB_STORE_USER)
		size += 2 * sizeof(struct track);
	if (s->flags & SLAB_RED_ZONE) {
		size += sizeof(void *);
		s->red_left_pad = ALIGN((unsigned int)sizeof(void *), s->align);
		size += s->red_left_pad;
	}
	s->size = ALIGN(size, s->align);
}

static unsigned int get_info_end(struct kmem_cache *s)
{
	return s->offset >= s->inuse ? s->inuse + sizeof(void *) : s->inuse;
}

static struct track *get_track(struct kmem_cache *s, void *object, enum track_item which)
{
	return (struct track *)((char *)object + get_info_end(s)) + which;
}

static void set_track(struct kmem_cache *s, void *object, enum track_item which, unsigned long addr)
{
	struct track *t = get_track(s, object, which);
	struct unwind_state state;
	int n = 0, skip = 1;

	if (!(s->flags & SLAB_STORE_USER))
		return;
	memset(t, 0, sizeof(*t));
	if (!addr)
		return;
	unwind_start(&state, current, NULL, (unsigned long *)__builtin_frame_address(0) + 1);
	for (; !state.done && n < TRACK_ADDRS_COUNT; unwind_next_frame(&state)) {
		unsigned long *at = unwind_get_return_address_ptr(&state);

		if (!at)
			break;
		if (skip && *at != addr) /* the allocator's own frames */
			continue;
		skip = 0;
		t->addrs[n++] = *at;
	}
	t->addr = addr;
	t->cpu = smp_processor_id();
	t->pid = current->pid;
	t->when = jiffies;
}

static void print_track(const char *what, struct track *t)
{
	if (!t->addr)
		return;
	pr_err("%s in %pS age=%lu cpu=%u pid=%d\n", what, (void *)t->addr, jiffies - t->when, t->cpu, t->pid);
	for (int i = 0; i < TRACK_ADDRS_COUNT && t->addrs[i]; i++)
		pr_err("\t%pS\n", (void *)t->addrs[i]);
}

static void print_page_info(struct page *page)
{
	char flags[96];

	pr_err("Slab 0x%p objects=%u used=%u fp=0x%p flags=%s\n", page, page->objects, page->inuse, page->freelist, format_page_flags(flags, sizeof(flags), page->flags));
}

static void slab_bug(struct kmem_cache *s, const char *what)
{
	pr_err("=============================================================================\n");
	pr_err("BUG %s (%s): %s\n", s->name, print_tainted(), what);
	pr_err("-----------------------------------------------------------------------------\n\n");
}

static void print_section(const char *text, const u8 *addr, unsigned int length)
{
	print_hex_dump(KERN_ERR, text, addr, length);
}

static void print_trailer(struct kmem_cache *s, struct page *page, u8 *p)
{
	u8 *addr = page_address(page);
	unsigned int off = get_info_end(s);

	if (s->flags & SLAB_STORE_USER) {
		print_track("Allocated", get_track(s, p, TRACK_ALLOC));
		print_track("Freed", get_track(s, p, TRACK_FREE));
	}
	print_page_info(page);
	pr_err("Object 0x%p @offset=%ld fp=0x%p\n\n", p, (long)(p - addr), get_freepointer(s, p));
	if (s->flags & SLAB_RED_ZONE)
		print_section("Redzone  ", p - s->red_left_pad, s->red_left_pad);
	else if (p > addr + 16)
		print_section("Bytes b4 ", p - 16, 16);
	print_section("Object   ", p, min(s->object_size, (unsigned int)PAGE_SIZE));
	if (s->flags & SLAB_RED_ZONE)
		print_section("Redzone  ", p + s->object_size, s->inuse - s->object_size);
	if (s->flags & SLAB_STORE_USER)
		off += 2 * sizeof(struct track);
	if (off != s->size - s->red_left_pad)
		print_section("Padding  ", p + off, s->size - s->red_left_pad - off);
	dump_stack();
}

static void object_err(struct kmem_cache *s, struct page *page, u8 *object, const char *reason)
{
	slab_bug(s, reason);
	print_trailer(s, page, object);
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
}

static void slab_err(struct kmem_cache *s, struct page *page, const char *fmt, ...) __printf(3, 4);
static void slab_err(struct kmem_cache *s, struct page *page, const char *fmt, ...)
{
	char buf[100];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	slab_bug(s, buf);
	print_page_info(page);
	dump_stack();
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
}

static void init_object(struct kmem_cache *s, u8 *p, u8 val)
{
	if (s->flags & SLAB_RED_ZONE)
		memset(p - s->red_left_pad, val, s->red_left_pad);
	if (s->flags & __OBJECT_POISON) {
		memset(p, POISON_FREE, s->object_size - 1);
		p[s->object_size - 1] = POISON_END;
	}
	if (s->flags & SLAB_RED_ZONE)
		memset(p + s->object_size, val, s->inuse - s->object_size);
}

/* The bytes from start on are all value; a place where they are not is reported and mended. */
static bool check_bytes_and_report(struct kmem_cache *s, struct page *page, u8 *object, const char *what, u8 *start, u8 value, unsigned int bytes)
{
	u8 *fault = start, *end = start + bytes;
	char title[64];

	while (fault < end && *fault == value)
		fault++;
	if (fault == end)
		return true;
	while (end > fault && end[-1] == value)
		end--;
	snprintf(title, sizeof(title), "%s overwritten", what);
	slab_bug(s, title);
	pr_err("0x%p-0x%p @offset=%ld. First byte 0x%x instead of 0x%x\n", fault, end - 1, (long)(fault - (u8 *)page_address(page)), fault[0], value);
	print_trailer(s, page, object);
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
	pr_err("FIX %s: Restoring %s 0x%p-0x%p=0x%x\n", s->name, what, fault, end - 1, value);
	memset(fault, value, end - fault);
	return false;
}

static bool check_valid_pointer(struct kmem_cache *s, struct page *page, void *object)
{
	char *base = page_address(page), *p = object;

	if (!object)
		return true;
	p -= s->red_left_pad;
	return p >= base && p < base + page->objects * s->size && !((p - base) % s->size);
}

static bool check_object(struct kmem_cache *s, struct page *page, u8 *object, u8 val)
{
	if (s->flags & SLAB_RED_ZONE) {
		if (!check_bytes_and_report(s, page, object, "Left Redzone", object - s->red_left_pad, val, s->red_left_pad))
			return false;
		if (!check_bytes_and_report(s, page, object, "Right Redzone", object + s->object_size, val, s->inuse - s->object_size))
			return false;
	}
	if (s->flags & SLAB_POISON && val != SLUB_RED_ACTIVE && s->flags & __OBJECT_POISON &&
	    (!check_bytes_and_report(s, page, object, "Poison", object, POISON_FREE, s->object_size - 1) ||
	     !check_bytes_and_report(s, page, object, "End Poison", object + s->object_size - 1, POISON_END, 1)))
		return false;
	if (s->offset < s->inuse && val == SLUB_RED_ACTIVE)
		return true; /* no free pointer to look at while the object is in use */
	if (!check_valid_pointer(s, page, get_freepointer(s, object))) {
		object_err(s, page, object, "Freepointer corrupt");
		*(void **)((char *)object + s->offset) = NULL;
		return false;
	}
	return true;
}

static bool on_freelist(struct kmem_cache *s, struct page *page, void *search)
{
	struct kmem_cache_cpu *c = this_cpu_ptr(s->cpu_slab);
	void *at = page == c->page ? (void *)c->freelist : page->freelist;

	for (unsigned int n = 0; at && n <= page->objects && check_valid_pointer(s, page, at); n++, at = get_freepointer(s, at))
		if (at == search)
			return true;
	return false;
}

void setup_slab_debug(struct kmem_cache *s, struct page *page, char *start)
{
	if (!(s->flags & SLAB_DEBUG_FLAGS))
		return;
	if (s->flags & SLAB_POISON)
		memset(start, POISON_INUSE, PAGE_SIZE << (s->oo.x >> 16));
	for (unsigned int i = 0; i < page->objects; i++) {
		char *object = start + i * s->size + s->red_left_pad;

		init_object(s, (u8 *)object, SLUB_RED_INACTIVE);
		set_track(s, object, TRACK_ALLOC, 0);
		set_track(s, object, TRACK_FREE, 0);
	}
}

bool alloc_debug_processing(struct kmem_cache *s, struct page *page, void *object, unsigned long addr)
{
	if (s->flags & SLAB_CONSISTENCY_CHECKS) {
		bool good = check_valid_pointer(s, page, object);

		if (!good)
			slab_err(s, page, "Freelist Pointer check fails");
		else
			good = check_object(s, page, object, SLUB_RED_INACTIVE);
		if (!good) {
			pr_err("FIX %s: Marking all objects used\n", s->name);
			return false;
		}
	}
	set_track(s, object, TRACK_ALLOC, addr);
	init_object(s, object, SLUB_RED_ACTIVE);
	return true;
}

bool free_debug_processing(struct kmem_cache *s, struct page *page, void *object, unsigned long addr)
{
	if (s->flags & SLAB_CONSISTENCY_CHECKS) {
		bool good = false;

		if (!check_valid_pointer(s, page, object))
			slab_err(s, page, "Invalid object pointer 0x%p", object);
		else if (on_freelist(s, page, object))
			object_err(s, page, object, "Object already free");
		else
			good = check_object(s, page, object, SLUB_RED_ACTIVE);
		if (!good) {
			pr_err("FIX %s: Object at 0x%p not freed\n", s->name, object);
			return false;
		}
	}
	set_track(s, object, TRACK_FREE, addr);
	init_object(s, object, SLUB_RED_INACTIVE);
	return true;
}
