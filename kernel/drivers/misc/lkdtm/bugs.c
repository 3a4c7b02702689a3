/* Crash points about exceptions, lockups, stacks and lists. Mirrors Linux drivers/misc/lkdtm/bugs.c. */
#include <asm/processor.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "lkdtm.h"

struct lkdtm_list { struct list_head node; };

/* Deep enough to leave the stack, whatever its size. */
#define REC_STACK_SIZE (THREAD_SIZE / 16)
#define REC_NUM_DEFAULT ((int)(THREAD_SIZE / REC_STACK_SIZE) * 2)
static int recur_count = REC_NUM_DEFAULT;
static volatile int lkdtm_zero;

/* Each level fills a frame and uses it after the call, so that no level can be left out. */
static noinline int recursive_loop(int remaining)
{
	volatile char buf[REC_STACK_SIZE];
	volatile int ret;

	memset((void *)buf, remaining & 0xff, sizeof(buf));
	if (!remaining)
		ret = 0;
	else
		ret = recursive_loop(remaining - 1);
	__asm__ volatile("" : : "r"(buf) : "memory");
	return ret;
}

void lkdtm_bugs_init(int *recur)
{
	if (*recur < 0)
		*recur = recur_count;
	else
		recur_count = *recur;
}

static noinline void lkdtm_PANIC(void)
{
	panic("dumptest");
}

static noinline void lkdtm_BUG(void)
{
	BUG();
}

static int warn_counter;

static noinline void lkdtm_WARNING(void)
{
	WARN_ON(++warn_counter);
}

static noinline void lkdtm_WARNING_MESSAGE(void)
{
	WARN(1, "Warning message trigger count: %d\n", ++warn_counter);
}

static noinline void lkdtm_EXCEPTION(void)
{
	*(volatile int *)lkdtm_hide(NULL) = 0;
}

static noinline void lkdtm_LOOP(void)
{
	while (!lkdtm_zero)
		;
}

static noinline void lkdtm_EXHAUST_STACK(void)
{
	lk_info("Calling function with %lu frame size to depth %d ...\n", (unsigned long)REC_STACK_SIZE, recur_count);
	recursive_loop(recur_count);
	lk_info("FAIL: survived without exhausting stack?!\n");
}

static noinline void __lkdtm_CORRUPT_STACK(void *stack)
{
	memset(stack, '\xff', 64);
}

/* An array gives every stack protector a reason to guard the function. */
static noinline void lkdtm_CORRUPT_STACK(void)
{
	char data[8] __aligned(8);

	lk_info("Corrupting stack containing char array ...\n");
	__lkdtm_CORRUPT_STACK((void *)&data);
}

/* Only the strong variant guards a function whose variable merely has its address taken. */
static noinline void lkdtm_CORRUPT_STACK_STRONG(void)
{
	union { unsigned short shorts[4]; unsigned long *ptr; } data __aligned(8);

	lk_info("Corrupting stack containing union ...\n");
	__lkdtm_CORRUPT_STACK((void *)&data);
}

static pid_t stack_pid;
static unsigned long stack_addr;

static noinline void lkdtm_REPORT_STACK(void)
{
	volatile unsigned long magic = (unsigned long)&magic;
	pid_t pid = current->pid;

	if (pid != stack_pid) {
		lk_info("Starting stack offset tracking for pid %d\n", pid);
		stack_pid = pid;
		stack_addr = magic;
	}
	lk_info("Stack offset: %d\n", (int)(stack_addr - magic));
}

static pid_t stack_canary_pid;
static unsigned long stack_canary;
static unsigned long stack_canary_offset;

static noinline void __lkdtm_REPORT_STACK_CANARY(void *stack)
{
	unsigned long *at = stack, canary = 0;

	/* The word that equals the processor's copy is this frame's. */
	for (int i = 1; i < 16; i++)
		if (at[i] == current->stack_canary) {
			canary = at[i];
			stack_canary_offset = i;
			break;
		}
	if (!canary) {
		lk_err("FAIL: stack canary not found at offset from variable\n");
		return;
	}
	if (stack_canary_pid == 0) {
		stack_canary = canary;
		stack_canary_pid = current->pid;
		lk_info("Recorded stack canary for pid %d at offset %lu\n", stack_canary_pid, stack_canary_offset);
	} else if (current->pid == stack_canary_pid) {
		lk_warn("ERROR: saw pid %d again -- please use a new pid\n", current->pid);
	} else if (canary == stack_canary) {
		lk_warn("FAIL: identical stack canaries for pids %d and %d at offset %lu!\n", stack_canary_pid, current->pid, stack_canary_offset);
	} else {
		lk_info("ok: stack canaries differ between pid %d and pid %d at offset %lu.\n", stack_canary_pid, current->pid, stack_canary_offset);
		stack_canary_pid = 0;
	}
}

static noinline void lkdtm_REPORT_STACK_CANARY(void)
{
	char data[8] __aligned(8) = {};

	__lkdtm_REPORT_STACK_CANARY((void *)&data);
}

/* x86 does unaligned accesses. */
static noinline void lkdtm_UNALIGNED_LOAD_STORE_WRITE(void)
{
	static u8 data[5] __aligned(4) = { 1, 2, 3, 4, 5 };
	volatile u32 *p = lkdtm_hide(data + 1);
	u32 value = 0x12345678;

	if (*p == 0)
		value = 0x87654321;
	*p = value;
	lk_err("XFAIL: arch has CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS\n");
}

static noinline void lkdtm_SOFTLOCKUP(void)
{
	preempt_count_add(1);
	while (!lkdtm_zero)
		cpu_relax();
}

static noinline void lkdtm_HARDLOCKUP(void)
{
	local_irq_disable();
	while (!lkdtm_zero)
		cpu_relax();
}

/* The lock is taken and stays taken: the second writer spins for ever. */
static noinline void lkdtm_SPINLOCKUP(void)
{
	static DEFINE_SPINLOCK(lock_me_up);

	spin_lock(&lock_me_up);
}

static noinline void lkdtm_HUNG_TASK(void)
{
	current->__state = TASK_UNINTERRUPTIBLE;
	schedule();
}

static volatile unsigned int huge = 0x7fffffff - 2;
static volatile unsigned int ignored;

static noinline void lkdtm_OVERFLOW_SIGNED(void)
{
	int value;

	value = huge;
	lk_info("Normal signed addition ...\n");
	value += 1;
	ignored = value;
	lk_info("Overflowing signed addition ...\n");
	value += 4;
	ignored = value;
}

static noinline void lkdtm_OVERFLOW_UNSIGNED(void)
{
	unsigned int value;

	value = huge;
	lk_info("Normal unsigned addition ...\n");
	value += 1;
	ignored = value;
	lk_info("Overflowing unsigned addition ...\n");
	value += 4;
	ignored = value;
}

struct array_bounds_flex_array { int one; int two; char data[1]; };
struct array_bounds { int one; int two; char data[8]; int three; };

static noinline void lkdtm_ARRAY_BOUNDS(void)
{
	struct array_bounds_flex_array *not_checked = kmalloc(sizeof(*not_checked) * 2, GFP_KERNEL);
	struct array_bounds *checked = kmalloc(sizeof(*checked) * 2, GFP_KERNEL);
	volatile int i;

	if (!not_checked || !checked) {
		kfree(not_checked);
		kfree(checked);
		return;
	}
	lk_info("Array access within bounds ...\n");
	for (i = 0; i < (int)sizeof(checked->data); i++)
		checked->data[i] = 'A';
	for (i = 0; i < (int)sizeof(not_checked->data) + 1; i++)
		((char *)lkdtm_hide(not_checked->data))[i] = 'A';
	lk_info("Array access beyond bounds ...\n");
	for (i = 0; i < (int)sizeof(checked->data) + 1; i++)
		checked->data[i] = 'B';
	kfree(not_checked);
	kfree(checked);
	lk_err("FAIL: survived array bounds overflow!\n");
	lkdtm_expected_config("CONFIG_UBSAN_TRAP");
}

static noinline void lkdtm_CORRUPT_LIST_ADD(void)
{
	LIST_HEAD(test_head);
	struct lkdtm_list good, bad;
	void *target[2] = { };
	void *redirection = &target;

	lk_info("attempting good list addition\n");
	list_add(&good.node, &test_head);
	lk_info("attempting corrupted list addition\n");
	test_head.next = redirection;
	list_add(&bad.node, &test_head);
	if (target[0] == NULL && target[1] == NULL)
		lk_err("Overwrite did not happen, but no BUG?!\n");
	else
		lk_err("list_add() corruption not detected!\n");
}

static noinline void lkdtm_CORRUPT_LIST_DEL(void)
{
	LIST_HEAD(test_head);
	struct lkdtm_list item;
	void *target[2] = { };
	void *redirection = &target;

	list_add(&item.node, &test_head);
	lk_info("attempting good list removal\n");
	list_del(&item.node);
	lk_info("attempting corrupted list removal\n");
	list_add(&item.node, &test_head);
	item.node.next = redirection;
	list_del(&item.node);
	if (target[0] == NULL && target[1] == NULL)
		lk_err("Overwrite did not happen, but no BUG?!\n");
	else
		lk_err("list_del() corruption not detected!\n");
}

static noinline void lkdtm_STACK_GUARD_PAGE_LEADING(void)
{
	const unsigned char *ptr = (const unsigned char *)current->stack - 1;
	volatile unsigned char byte;

	lk_info("attempting bad read from page below current stack\n");
	byte = *(const volatile unsigned char *)ptr;
	lk_err("FAIL: accessed page before stack! (byte: %x)\n", byte);
}

static noinline void lkdtm_STACK_GUARD_PAGE_TRAILING(void)
{
	const unsigned char *ptr = (const unsigned char *)current->stack + THREAD_SIZE;
	volatile unsigned char byte;

	lk_info("attempting bad read from page above current stack\n");
	byte = *(const volatile unsigned char *)ptr;
	lk_err("FAIL: accessed page after stack! (byte: %x)\n", byte);
}

#define MOV_CR4_DEPTH 64
#define X86_CR4_SMEP 0x100000UL

/* Jumps to a write of CR4 that is in the kernel's own code, as an attacker would. */
static noinline void lkdtm_UNSET_SMEP(void)
{
	unsigned long cr4 = read_cr4();

	if (!(cr4 & X86_CR4_SMEP)) {
		lk_err("FAIL: SMEP not in use\n");
		return;
	}
	cr4 &= ~X86_CR4_SMEP;
	lk_info("trying to clear SMEP normally\n");
	write_cr4(cr4);
	if (cr4 == read_cr4()) {
		lk_err("FAIL: pinning SMEP failed!\n");
		write_cr4(cr4 | X86_CR4_SMEP);
		lk_info("restored SMEP\n");
		return;
	}
	lk_info("ok: SMEP did not get cleared\n");
}

static noinline void lkdtm_DOUBLE_FAULT(void)
{
	lk_err("XFAIL: this test is ia32-only\n");
}

static noinline void lkdtm_CORRUPT_PAC(void)
{
	lk_err("XFAIL: this test is arm64-only\n");
}

static const struct crashtype crashtypes[] = {
	CRASHTYPE(PANIC), CRASHTYPE(BUG), CRASHTYPE(WARNING), CRASHTYPE(WARNING_MESSAGE), CRASHTYPE(EXCEPTION),
	CRASHTYPE(LOOP), CRASHTYPE(EXHAUST_STACK), CRASHTYPE(CORRUPT_STACK), CRASHTYPE(CORRUPT_STACK_STRONG),
	CRASHTYPE(REPORT_STACK), CRASHTYPE(REPORT_STACK_CANARY), CRASHTYPE(UNALIGNED_LOAD_STORE_WRITE),
	CRASHTYPE(SOFTLOCKUP), CRASHTYPE(HARDLOCKUP), CRASHTYPE(SPINLOCKUP), CRASHTYPE(HUNG_TASK),
	CRASHTYPE(OVERFLOW_SIGNED), CRASHTYPE(OVERFLOW_UNSIGNED), CRASHTYPE(ARRAY_BOUNDS), CRASHTYPE(CORRUPT_LIST_ADD),
	CRASHTYPE(CORRUPT_LIST_DEL), CRASHTYPE(STACK_GUARD_PAGE_LEADING), CRASHTYPE(STACK_GUARD_PAGE_TRAILING),
	CRASHTYPE(UNSET_SMEP), CRASHTYPE(DOUBLE_FAULT), CRASHTYPE(CORRUPT_PAC),
};
CRASHTYPES(bugs);
