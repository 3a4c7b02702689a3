/* Crash points about copies between the kernel and programs. Mirrors Linux drivers/misc/lkdtm/usercopy.c. */
#include <linux/sched.h>
#include "lkdtm.h"

/* Values that the compiler cannot know: the checks must come at run time. */
static volatile size_t unconst;
static volatile size_t cache_size = 1024;
static struct kmem_cache *whitelist_cache;
static const unsigned char test_text[] = "This is a test.\n";

/* A frame of its own, below the caller's, whose address outlives it. */
static noinline unsigned char *trick_compiler(unsigned char *stack)
{
	return stack + unconst;
}

static noinline unsigned char *do_usercopy_stack_callee(int value)
{
	unsigned char buf[128];

	for (int i = 0; i < (int)sizeof(buf); i++)
		buf[i] = value & 0xff;
	return trick_compiler(buf);
}

static noinline void do_usercopy_stack(bool to_user, bool bad_frame)
{
	unsigned long user_addr;
	unsigned char good_stack[32];
	unsigned char *bad_stack;

	for (int i = 0; i < (int)sizeof(good_stack); i++)
		good_stack[i] = test_text[i % sizeof(test_text)];
	if (bad_frame) {
		bad_stack = do_usercopy_stack_callee(1);
	} else {
		/* Beyond the stack's end, all but the first bytes. */
		bad_stack = (unsigned char *)current->stack + THREAD_SIZE;
		bad_stack -= sizeof(unsigned long);
	}
	lk_info("good_stack: %px-%px\n", good_stack, good_stack + sizeof(good_stack));
	lk_info("bad_stack : %px-%px\n", bad_stack, bad_stack + sizeof(good_stack));
	user_addr = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC);
	if (IS_ERR((void *)user_addr)) {
		lk_warn("Failed to allocate user memory\n");
		return;
	}
	if (to_user) {
		lk_info("attempting good copy_to_user of local stack\n");
		if (copy_to_user((void __user *)user_addr, good_stack, unconst + sizeof(good_stack))) {
			lk_warn("copy_to_user failed unexpectedly?!\n");
			goto free_user;
		}
		lk_info("attempting bad copy_to_user of distant stack\n");
		if (copy_to_user((void __user *)user_addr, bad_stack, unconst + sizeof(good_stack))) {
			lk_warn("copy_to_user failed, but lacked Oops\n");
			goto free_user;
		}
	} else {
		/* Room that is filled with something first. */
		if (copy_to_user((void __user *)user_addr, &test_text, sizeof(test_text))) {
			lk_warn("simple copy_to_user failed?!\n");
			goto free_user;
		}
		lk_info("attempting good copy_from_user of local stack\n");
		if (copy_from_user(good_stack, (void __user *)user_addr, unconst + sizeof(good_stack))) {
			lk_warn("copy_from_user failed unexpectedly?!\n");
			goto free_user;
		}
		lk_info("attempting bad copy_from_user of distant stack\n");
		if (copy_from_user(bad_stack, (void __user *)user_addr, unconst + sizeof(good_stack))) {
			lk_warn("copy_from_user failed, but lacked Oops\n");
			goto free_user;
		}
	}
free_user:
	vm_unmap(current->mm, user_addr, user_addr + PAGE_SIZE);
}

/* Copies that are longer than the object they start in. */
static noinline void do_usercopy_slab_size(bool to_user)
{
	unsigned long user_addr;
	unsigned char *one, *two;
	void __user *test_user_addr;
	const size_t size = 1024;
	size_t test_size;

	one = kmalloc(size, GFP_KERNEL);
	two = kmalloc(size, GFP_KERNEL);
	if (!one || !two) {
		lk_warn("Failed to allocate kernel memory\n");
		goto free_kernel;
	}
	user_addr = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC);
	if (IS_ERR((void *)user_addr)) {
		lk_warn("Failed to allocate user memory\n");
		goto free_kernel;
	}
	memset(one, 'A', size);
	memset(two, 'B', size);
	test_user_addr = (void __user *)(user_addr + 16);
	test_size = unconst + size - 16;
	if (to_user) {
		lk_info("attempting good copy_to_user of correct size\n");
		if (copy_to_user(test_user_addr, one + 16, test_size)) {
			lk_warn("copy_to_user failed unexpectedly?!\n");
			goto free_user;
		}
		lk_info("attempting bad copy_to_user of too large size\n");
		if (copy_to_user(test_user_addr, one + 16, test_size + 16)) {
			lk_warn("copy_to_user failed, but lacked Oops\n");
			goto free_user;
		}
	} else {
		lk_info("attempting good copy_from_user of correct size\n");
		if (copy_from_user(one + 16, test_user_addr, test_size)) {
			lk_warn("copy_from_user failed unexpectedly?!\n");
			goto free_user;
		}
		lk_info("attempting bad copy_from_user of too large size\n");
		if (copy_from_user(one + 16, test_user_addr, test_size + 16)) {
			lk_warn("copy_from_user failed, but lacked Oops\n");
			goto free_user;
		}
	}
	lk_err("FAIL: bad usercopy not detected!\n");
free_user:
	vm_unmap(current->mm, user_addr, user_addr + PAGE_SIZE);
free_kernel:
	kfree(one);
	kfree(two);
}

/* Copies that leave the part of an object that its cache allows. */
static noinline void do_usercopy_slab_whitelist(bool to_user)
{
	unsigned long user_alloc;
	unsigned char *buf = NULL;
	unsigned char __user *user_addr;
	size_t offset, size;

	if (!whitelist_cache) {
		lk_warn("Failed to allocate kernel cache\n");
		return;
	}
	buf = kmem_cache_alloc(whitelist_cache, GFP_KERNEL);
	if (!buf) {
		lk_warn("Failed to allocate buffer from whitelist cache\n");
		goto free_alloc;
	}
	user_alloc = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC);
	if (IS_ERR((void *)user_alloc)) {
		lk_warn("Failed to allocate user memory\n");
		goto free_alloc;
	}
	user_addr = (void __user *)user_alloc;
	memset(buf, 'B', cache_size);
	/* The allowed part begins at a quarter and is a sixteenth long. */
	offset = cache_size / 4 + unconst;
	size = cache_size / 16 + unconst;
	if (to_user) {
		lk_info("attempting good copy_to_user inside whitelist\n");
		if (copy_to_user(user_addr, buf + offset, size)) {
			lk_warn("copy_to_user failed unexpectedly?!\n");
			goto free_user;
		}
		lk_info("attempting bad copy_to_user outside whitelist\n");
		if (copy_to_user(user_addr, buf + offset - 1, size)) {
			lk_warn("copy_to_user failed, but lacked Oops\n");
			goto free_user;
		}
	} else {
		lk_info("attempting good copy_from_user inside whitelist\n");
		if (copy_from_user(buf + offset, user_addr, size)) {
			lk_warn("copy_from_user failed unexpectedly?!\n");
			goto free_user;
		}
		lk_info("attempting bad copy_from_user outside whitelist\n");
		if (copy_from_user(buf + offset - 1, user_addr, size)) {
			lk_warn("copy_from_user failed, but lacked Oops\n");
			goto free_user;
		}
	}
	lk_err("FAIL: bad usercopy not detected!\n");
free_user:
	vm_unmap(current->mm, user_alloc, user_alloc + PAGE_SIZE);
free_alloc:
	if (buf)
		kmem_cache_free(whitelist_cache, buf);
}

static noinline void lkdtm_USERCOPY_SLAB_SIZE_TO(void) { do_usercopy_slab_size(true); }
static noinline void lkdtm_USERCOPY_SLAB_SIZE_FROM(void) { do_usercopy_slab_size(false); }
static noinline void lkdtm_USERCOPY_SLAB_WHITELIST_TO(void) { do_usercopy_slab_whitelist(true); }
static noinline void lkdtm_USERCOPY_SLAB_WHITELIST_FROM(void) { do_usercopy_slab_whitelist(false); }
static noinline void lkdtm_USERCOPY_STACK_FRAME_TO(void) { do_usercopy_stack(true, true); }
static noinline void lkdtm_USERCOPY_STACK_FRAME_FROM(void) { do_usercopy_stack(false, true); }
static noinline void lkdtm_USERCOPY_STACK_BEYOND(void) { do_usercopy_stack(true, false); }

static noinline void lkdtm_USERCOPY_KERNEL(void)
{
	unsigned long user_addr = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC);

	if (IS_ERR((void *)user_addr)) {
		lk_warn("Failed to allocate user memory\n");
		return;
	}
	lk_info("attempting good copy_to_user from kernel rodata: %px\n", test_text);
	if (copy_to_user((void __user *)user_addr, test_text, unconst + sizeof(test_text))) {
		lk_warn("copy_to_user failed unexpectedly?!\n");
		goto free_user;
	}
	lk_info("attempting bad copy_to_user from kernel text: %px\n", (void *)vm_mmap);
	if (copy_to_user((void __user *)user_addr, (void *)vm_mmap, unconst + PAGE_SIZE)) {
		lk_warn("copy_to_user failed, but lacked Oops\n");
		goto free_user;
	}
	lk_err("FAIL: bad copy_to_user() not detected!\n");
free_user:
	vm_unmap(current->mm, user_addr, user_addr + PAGE_SIZE);
}

/* Copies that leave the pages that were allocated together. */
static noinline void do_usercopy_page_span(const char *name, char *kaddr)
{
	unsigned long uaddr = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE);

	if (IS_ERR((void *)uaddr)) {
		lk_warn("Failed to allocate user memory\n");
		return;
	}
	/* Half a page before the end of the allocation. */
	lk_info("attempting good copy_to_user() from kernel %s: %px\n", name, kaddr);
	if (copy_to_user((void __user *)uaddr, kaddr, unconst + PAGE_SIZE / 2)) {
		lk_err("copy_to_user() failed unexpectedly?!\n");
		goto free_user;
	}
	lk_info("attempting bad copy_to_user() from kernel %s: %px\n", name, kaddr);
	if (copy_to_user((void __user *)uaddr, kaddr, unconst + PAGE_SIZE)) {
		lk_warn("Good, copy_to_user() failed, but lacked Oops(?!)\n");
		goto free_user;
	}
	lk_err("FAIL: bad copy_to_user() not detected!\n");
free_user:
	vm_unmap(current->mm, uaddr, uaddr + PAGE_SIZE);
}

static noinline void lkdtm_USERCOPY_VMALLOC(void)
{
	char *kaddr = vmalloc(PAGE_SIZE);

	if (!kaddr) {
		lk_err("vmalloc() failed!?\n");
		return;
	}
	do_usercopy_page_span("vmalloc", kaddr + PAGE_SIZE / 2);
	vfree(kaddr);
}

static noinline void lkdtm_USERCOPY_FOLIO(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1);
	char *kaddr;

	if (!page) {
		lk_err("folio_alloc() failed!?\n");
		return;
	}
	kaddr = page_address(page);
	do_usercopy_page_span("folio", kaddr + PAGE_SIZE + PAGE_SIZE / 2);
	__free_pages(page, 1);
}

void lkdtm_usercopy_init(void)
{
	whitelist_cache = kmem_cache_create_usercopy("lkdtm-usercopy", cache_size, 0, 0, cache_size / 4, cache_size / 16, NULL);
}

static const struct crashtype crashtypes[] = {
	CRASHTYPE(USERCOPY_SLAB_SIZE_TO), CRASHTYPE(USERCOPY_SLAB_SIZE_FROM), CRASHTYPE(USERCOPY_SLAB_WHITELIST_TO),
	CRASHTYPE(USERCOPY_SLAB_WHITELIST_FROM), CRASHTYPE(USERCOPY_STACK_FRAME_TO), CRASHTYPE(USERCOPY_STACK_FRAME_FROM),
	CRASHTYPE(USERCOPY_STACK_BEYOND), CRASHTYPE(USERCOPY_VMALLOC), CRASHTYPE(USERCOPY_FOLIO), CRASHTYPE(USERCOPY_KERNEL),
};
CRASHTYPES(usercopy);
