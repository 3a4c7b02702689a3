/*
 * Hardened usercopy: what a copy to or from a program touches must be one object: on the stack in use, in one slab
 * object's public part, in one allocation of pages, and never the kernel's text. Mirrors Linux 6.1 mm/usercopy.c.
 */
#include <asm/processor.h>
#include <linux/kasan.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/usercopy.h>
#include "slab.h"

enum { NOT_STACK, GOOD_STACK, BAD_STACK };

/* Inside the current task's stack, and above the stack pointer. */
static int check_stack_object(const char *obj, unsigned long len, const char *sp)
{
	const char *stack = current->stack, *end = stack + THREAD_SIZE;

	if (obj + len <= stack || end <= obj)
		return NOT_STACK;
	if (obj < stack || end < obj + len)
		return BAD_STACK;
	/* On an interrupt's stack the task's pointer is unknown here. */
	if (sp >= stack && sp < end && obj < sp)
		return BAD_STACK;
	return GOOD_STACK;
}

noinline void __noreturn usercopy_abort(const char *name, const char *detail, bool to_user, unsigned long offset, unsigned long len)
{
	pr_emerg("usercopy: Kernel memory %s attempt detected %s %s%s%s%s (offset %lu, size %lu)!\n", to_user ? "exposure" : "overwrite",
		 to_user ? "from" : "to", name ? name : "unknown?!", detail ? " '" : "", detail ? detail : "", detail ? "'" : "", offset, len);
	BUG();
}

static bool overlaps(unsigned long ptr, unsigned long n, unsigned long low, unsigned long high)
{
	return ptr < high && ptr + n > low;
}

static inline void check_kernel_text_object(unsigned long ptr, unsigned long n, bool to_user)
{
	unsigned long low = (unsigned long)_stext, high = (unsigned long)_etext;

	if (overlaps(ptr, n, low, high))
		usercopy_abort("kernel text", NULL, to_user, ptr - low, n);
	low = (unsigned long)__va(__pa(low));
	high = (unsigned long)__va(__pa(high));
	if (overlaps(ptr, n, low, high)) /* the same pages by their other address */
		usercopy_abort("linear kernel text", NULL, to_user, ptr - low, n);
}

static inline void check_bogus_address(unsigned long ptr, unsigned long n, bool to_user)
{
	if (ptr + (n - 1) < ptr)
		usercopy_abort("wrapped address", NULL, to_user, 0, ptr + n);
	if (ptr <= 16)
		usercopy_abort("null address", NULL, to_user, ptr, n);
}

static inline void check_heap_object(const void *ptr, unsigned long n, bool to_user)
{
	unsigned long addr = (unsigned long)kasan_reset_tag(ptr), offset;
	struct page *page;

	if (is_vmalloc_addr(ptr)) {
		struct vmap_area *area = find_vmap_area(addr);

		if (!area)
			usercopy_abort("vmalloc", "no area", to_user, 0, n);
		if (n > area->va_end - addr)
			usercopy_abort("vmalloc", NULL, to_user, addr - area->va_start, n);
		return;
	}
	if (addr < PAGE_OFFSET || addr >= (unsigned long)high_memory)
		return;
	page = virt_to_head_page(ptr);
	if (PageSlab(page)) {
		__check_heap_object(ptr, n, page, to_user);
	} else if (PageCompound(page)) {
		offset = addr - (unsigned long)kasan_reset_tag(page_address(page));
		if (n > (PAGE_SIZE << compound_order(page)) - offset)
			usercopy_abort("page alloc", NULL, to_user, offset, n);
	}
}

noinline void __check_object_size(const void *ptr, unsigned long n, bool to_user)
{
	const char *sp = __builtin_frame_address(0);

	if (!n)
		return;
	check_bogus_address((unsigned long)ptr, n, to_user);
	switch (check_stack_object(ptr, n, sp)) {
	case NOT_STACK:
		break;
	case GOOD_STACK:
		return;
	default:
		usercopy_abort("process stack", NULL, to_user, sp - (const char *)ptr, n);
	}
	check_heap_object(ptr, n, to_user);
	check_kernel_text_object((unsigned long)ptr, n, to_user);
}
EXPORT_SYMBOL(__check_object_size);
