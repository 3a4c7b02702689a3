/* Crash points about memory permissions: read-only, no-execute, user pages. Mirrors Linux drivers/misc/lkdtm/perms.c. */
#include <asm/processor.h>
#include <linux/sched.h>
#include "lkdtm.h"

#define EXEC_SIZE 64

/* Volatile, or the compiler would take the values for granted. */
static u8 data_area[EXEC_SIZE];
static const unsigned long rodata = 0xAA55AA55;
static unsigned long ro_after_init __ro_after_init = 0x55AA5500;
extern const u8 lkdtm_rodata_code[EXEC_SIZE];

static __used noinline void do_nothing(void)
{
	__asm__ volatile("");
}

/* It must lie behind do_nothing(): EXEC_SIZE bytes of that are copied about. */
static __used noinline void do_overwritten(void)
{
	lk_info("do_overwritten wasn't overwritten!\n");
}

static __used noinline void do_almost_nothing(void)
{
	lk_info("do_nothing was hijacked!\n");
}

static noinline void execute_location(void *dst, bool write)
{
	void (*func)(void) = dst;

	lk_info("attempting ok execution at %px\n", do_nothing);
	do_nothing();
	if (write)
		memcpy(dst, do_nothing, EXEC_SIZE);
	lk_info("attempting bad execution at %px\n", func);
	func();
	lk_err("FAIL: func returned\n");
}

static noinline void execute_user_location(void *dst)
{
	void (*func)(void) = dst;

	lk_info("attempting ok execution at %px\n", do_nothing);
	do_nothing();
	if (access_remote_vm(current->mm, (unsigned long)dst, do_nothing, EXEC_SIZE))
		return;
	lk_info("attempting bad execution at %px\n", func);
	func();
	lk_err("FAIL: func returned\n");
}

static noinline void lkdtm_WRITE_RO(void)
{
	volatile unsigned long *ptr = lkdtm_hide((unsigned long *)&rodata);

	lk_info("attempting bad rodata write at %px\n", (void *)ptr);
	*ptr ^= 0xabcd1234;
	lk_err("FAIL: survived bad write\n");
}

static noinline void lkdtm_WRITE_RO_AFTER_INIT(void)
{
	volatile unsigned long *ptr = &ro_after_init;

	/* Set by the initcall below, when it was still allowed. */
	if ((*ptr & 0xAA) != 0xAA) {
		lk_info("%px was NOT written during init!?\n", (void *)ptr);
		return;
	}
	lk_info("attempting bad ro_after_init write at %px\n", (void *)ptr);
	*ptr ^= 0xabcd1234;
	lk_err("FAIL: survived bad write\n");
}

static noinline void lkdtm_WRITE_KERN(void)
{
	size_t size = (unsigned long)do_overwritten - (unsigned long)do_nothing;
	volatile unsigned char *ptr = (unsigned char *)do_overwritten;
	const unsigned char *from = (const unsigned char *)do_nothing;

	lk_info("attempting bad %lu byte write at %px\n", size, (void *)ptr);
	for (size_t i = 0; i < size; i++)
		ptr[i] = from[i];
	lk_err("FAIL: survived bad write\n");
	do_overwritten();
}

static noinline void lkdtm_WRITE_OPD(void)
{
	(void)do_almost_nothing;
	lk_info("XFAIL: Platform doesn't use function descriptors.\n");
}

static noinline void lkdtm_EXEC_DATA(void)
{
	execute_location(data_area, true);
}

static noinline void lkdtm_EXEC_STACK(void)
{
	u8 stack_area[EXEC_SIZE];

	execute_location(stack_area, true);
}

static noinline void lkdtm_EXEC_KMALLOC(void)
{
	u32 *kmalloc_area = kmalloc(EXEC_SIZE, GFP_KERNEL);

	execute_location(kmalloc_area, true);
	kfree(kmalloc_area);
}

static noinline void lkdtm_EXEC_VMALLOC(void)
{
	u32 *vmalloc_area = vmalloc(EXEC_SIZE);

	execute_location(vmalloc_area, true);
	vfree(vmalloc_area);
}

static noinline void lkdtm_EXEC_RODATA(void)
{
	execute_location((void *)lkdtm_rodata_code, false);
}

static noinline void lkdtm_EXEC_USERSPACE(void)
{
	unsigned long user_addr = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC);

	if (IS_ERR((void *)user_addr)) {
		lk_warn("Failed to allocate user memory\n");
		return;
	}
	execute_user_location((void *)user_addr);
	vm_unmap(current->mm, user_addr, user_addr + PAGE_SIZE);
}

static noinline void lkdtm_EXEC_NULL(void)
{
	execute_location(lkdtm_hide(NULL), false);
}

static noinline void lkdtm_ACCESS_USERSPACE(void)
{
	unsigned long user_addr = vm_mmap(PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC), tmp = 0;
	volatile unsigned long *ptr;

	if (IS_ERR((void *)user_addr)) {
		lk_warn("Failed to allocate user memory\n");
		return;
	}
	if (copy_to_user((void __user *)user_addr, &tmp, sizeof(tmp))) {
		lk_warn("copy_to_user failed\n");
		vm_unmap(current->mm, user_addr, user_addr + PAGE_SIZE);
		return;
	}
	ptr = (unsigned long *)user_addr;
	lk_info("attempting bad read at %px\n", (void *)ptr);
	tmp = *ptr;
	tmp += 0xc0dec0de;
	lk_err("FAIL: survived bad read\n");
	lk_info("attempting bad write at %px\n", (void *)ptr);
	*ptr = tmp;
	lk_err("FAIL: survived bad write\n");
	vm_unmap(current->mm, user_addr, user_addr + PAGE_SIZE);
}

static noinline void lkdtm_ACCESS_NULL(void)
{
	volatile unsigned long *ptr = lkdtm_hide(NULL);
	unsigned long tmp;

	lk_info("attempting bad read at %px\n", (void *)ptr);
	tmp = *ptr;
	tmp += 0xc0dec0de;
	lk_err("FAIL: survived bad read\n");
	lk_info("attempting bad write at %px\n", (void *)ptr);
	*ptr = tmp;
	lk_err("FAIL: survived bad write\n");
}

static int lkdtm_perms_init(void)
{
	ro_after_init |= 0xAA;
	return 0;
}
device_initcall(lkdtm_perms_init);

static const struct crashtype crashtypes[] = {
	CRASHTYPE(WRITE_RO), CRASHTYPE(WRITE_RO_AFTER_INIT), CRASHTYPE(WRITE_KERN), CRASHTYPE(WRITE_OPD),
	CRASHTYPE(EXEC_DATA), CRASHTYPE(EXEC_STACK), CRASHTYPE(EXEC_KMALLOC), CRASHTYPE(EXEC_VMALLOC),
	CRASHTYPE(EXEC_RODATA), CRASHTYPE(EXEC_USERSPACE), CRASHTYPE(EXEC_NULL), CRASHTYPE(ACCESS_USERSPACE),
	CRASHTYPE(ACCESS_NULL),
};
CRASHTYPES(perms);
