/*
 * The faults of labcrash, one function each. None depends on the context it runs in: the caller chooses a process,
 * an interrupt, a kernel thread. Functions carry the names of the kinds, so that a report names what was done.
 */
#include <asm/processor.h>
#include <linux/list.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "kinds.h"

const struct lab_kind *lab_kind_find(const char *name)
{
	for (unsigned int i = 0; i < lab_kinds_count; i++)
		if (!strcmp(lab_kinds[i].name, name))
			return &lab_kinds[i];
	return NULL;
}

/* Addresses that the compiler must not know. */
static void *volatile null;
static volatile unsigned long zero;

#define READ(address) ((void)*(volatile unsigned long *)(address))
#define WRITE(address) (*(volatile unsigned long *)(address) = 0x1234)
/* Non-canonical, as list poison is. */
#define NONCANONICAL 0xdead000000000100

static noinline void lab_null_read(void) { READ((char *)null + 0x10); }
static noinline void lab_null_write(void) { WRITE((char *)null + 8); }
static noinline void lab_null_exec(void) { ((void (*)(void))null)(); }
static noinline void lab_unmapped_read(void) { READ(0xffffc90001234568 + zero); }
static noinline void lab_unmapped_write(void) { WRITE(0xffffc90001234568 + zero); }
static noinline void lab_highaddr_read(void) { READ(-12UL + zero); }
static noinline void lab_noncanon_read(void) { READ(0xdead4ead00000000 + zero + 0x120); }
static noinline void lab_noncanon_write(void) { WRITE(0xdead4ead00000000 + zero + 0x120); }
static noinline void lab_noncanon_movabs(void) { __asm__ volatile("movabs 0xdead4ead00000120, %%rax" : : : "rax"); }
static noinline void lab_noncanon_exec(void) { ((void (*)(void))(NONCANONICAL + zero))(); }
/* 4 MiB is where every program of this system begins. */
static noinline void lab_user_read(void) { READ(0x400000 + zero); }
static noinline void lab_user_write(void) { WRITE(0x400000 + zero); }
static noinline void lab_user_exec(void) { ((void (*)(void))(0x400000 + zero))(); }

static noinline void lab_nx_exec(void)
{
	unsigned char *code = kzalloc(64, GFP_KERNEL);

	if (!code)
		return;
	code[0] = 0xc3; /* ret */
	((void (*)(void))(void *)code)();
	kfree(code);
}

static noinline void lab_stackexec(void)
{
	volatile unsigned char code[64] = { 0xc3 };

	((void (*)(void))(unsigned long)code)();
}

static noinline void lab_text_write(void) { *(volatile u8 *)((unsigned long)&panic + zero) = 0xcc; }
static noinline void lab_rodata_write(void) { *(volatile u8 *)((unsigned long)lab_kinds + zero) = 0; }

static noinline void lab_div0(void)
{
	unsigned int quotient;

	__asm__ volatile("xorl %%edx, %%edx\n\tdivl %1" : "=a"(quotient) : "r"((unsigned int)zero), "a"(1) : "edx");
}

/* A selector that is beyond the descriptor table: #GP with the selector as its error code. */
static noinline void lab_hlt_gp(void) { __asm__ volatile("movw %w0, %%fs" : : "r"(0x1b7 + (int)zero)); }
static noinline void lab_ud1(void) { __asm__ volatile("ud1 %eax, %eax"); }
static noinline void lab_ud2(void) { __asm__ volatile("ud2"); }
static noinline void lab_int3(void) { __asm__ volatile("int3"); }
static noinline void lab_bug(void) { BUG(); }
static noinline void lab_bug_on(void) { BUG_ON(!zero); }
static noinline void lab_warn(void) { WARN(1, "lab warning: value %d\n", 42); }
static noinline void lab_warn_on(void) { WARN_ON(!zero); }
static noinline void lab_warn_once(void) { WARN_ONCE(1, "lab warning once\n"); }
static noinline void lab_warn_on_once(void) { WARN_ON_ONCE(!zero); }
static noinline void lab_panic(void) { panic("lab panic: code 0x%x", 0x1234); }
static noinline void lab_dump_stack(void) { dump_stack(); }

/* Every register has a value that shows where it is printed. */
static noinline void lab_regs(void)
{
	__asm__ volatile("movq $0x1111111111111111, %%rbx\n\tmovq $0x2222222222222222, %%rcx\n\t"
			 "movq $0x3333333333333333, %%rdx\n\tmovq $0x4444444444444444, %%rsi\n\t"
			 "movq $0x5555555555555555, %%rdi\n\tmovq $0x8888888888888888, %%r8\n\t"
			 "movq $0x9999999999999999, %%r9\n\tmovq $0xaaaaaaaaaaaaaaaa, %%r10\n\t"
			 "movq $0xbbbbbbbbbbbbbbbb, %%r11\n\tmovq $0xcccccccccccccccc, %%r12\n\t"
			 "movq $0xdddddddddddddddd, %%r13\n\tmovq $0xeeeeeeeeeeeeeeee, %%r14\n\t"
			 "movq $0xffffffffffffffff, %%r15\n\txorl %%eax, %%eax\n\tmovq %%rbx, 0x18(%%rax)"
			 : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
}

/* Writes past its own array, over the canary and the return address. */
static noinline void lab_smash(void)
{
	volatile char small[8];

	for (int i = 0; i < 64 + (int)zero; i++)
		((volatile char *)small)[i] = 'A';
}

/* Only the return address is overwritten: the canary stays whole, RET goes astray. */
static noinline __attribute__((no_stack_protector)) void lab_return_address(void)
{
	((volatile unsigned long *)__builtin_frame_address(0))[1] = 0x4141414141414141 + zero;
}

static noinline int lab_rec(int depth)
{
	volatile char frame[256];

	frame[depth & 255] = depth;
	return depth > 1000000 ? 0 : lab_rec(depth + 1) + frame[depth & 255];
}
static noinline void lab_overflow(void) { lab_rec(0); }

static noinline void lab_listdel(void)
{
	static struct list_head head = LIST_HEAD_INIT(head), entry, next;

	INIT_LIST_HEAD(&head);
	list_add(&next, &head);
	list_add(&entry, &head);
	next.prev = (void *)1;
	list_del(&entry);
}

static noinline void lab_listadd_twice(void)
{
	static struct list_head head = LIST_HEAD_INIT(head), entry;

	INIT_LIST_HEAD(&head);
	list_add(&entry, &head);
	list_add(&entry, &head);
}

static noinline void lab_dblfree(void)
{
	void *p = kmalloc(64, GFP_KERNEL);

	kfree(p);
	kfree(p);
}

static noinline void lab_badfree(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	kfree(p + 8);
}

/* Writes to an object after it was freed: only an allocator that poisons can notice. */
static noinline void lab_use_after_free(void)
{
	volatile unsigned char *p = kmalloc(64, GFP_KERNEL);
	void *again[64];

	kfree((void *)p);
	p[16] = 0x5a;
	for (size_t i = 0; i < ARRAY_SIZE(again); i++)
		again[i] = kmalloc(64, GFP_KERNEL);
	for (size_t i = 0; i < ARRAY_SIZE(again); i++)
		kfree(again[i]);
}

/* Writes one byte past an object. */
static noinline void lab_out_of_bounds(void)
{
	volatile unsigned char *p = kmalloc(64, GFP_KERNEL);

	p[64 + zero] = 0x5a;
	kfree((void *)p);
}

/* A page is freed that somebody still counts on. */
static noinline void lab_badpage(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	page->mapping = (void *)0xdeadbeef0;
	__free_pages(page, 0);
}

static noinline void lab_alloc_huge(void) { kfree(kmalloc(1UL << 30, GFP_KERNEL)); }

static noinline void lab_null_locked(void)
{
	preempt_count_add(1);
	READ((char *)null + 0x10);
	preempt_count_add(-1);
}

static noinline void lab_atomic_sleep(void)
{
	preempt_count_add(1);
	msleep(10);
	preempt_count_add(-1);
}

static noinline void lab_loop(void)
{
	while (!zero)
		cpu_relax();
}

static noinline void lab_irqoff_loop(void)
{
	local_irq_disable();
	while (!zero)
		cpu_relax();
}

/*
 * Busy for ever without a loop that costs: the CPU halts until the next interrupt and never looks at the scheduler.
 * What waits for it sees a CPU that does not schedule.
 */
static noinline void lab_halt_loop(void)
{
	while (!zero)
		__asm__ volatile("sti; hlt");
}

/* A function that may sleep, called with preemption off; it does not sleep. */
static noinline void lab_might_sleep(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static noinline void lab_compl_hang(void)
{
	struct completion never;

	init_completion(&never);
	wait_for_completion(&never);
}

static noinline void lab_mutex_hang(void)
{
	static DEFINE_MUTEX(lock);

	mutex_lock(&lock);
	mutex_lock(&lock);
}

static noinline void lab_spinlock(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	spin_lock(&lock);
}

/* Undefined in C; the compiler's check says so, and the kernel goes on. */
static noinline void lab_ubsan_shift(void)
{
	volatile int amount = 40 + (int)zero;
	volatile int result = 1 << amount;

	(void)result;
}

static noinline void lab_rdmsr(void) { (void)rdmsrl(0x12345678 + zero); }
static noinline void lab_mce(void) { __asm__ volatile("int $18"); }

/*
 * Faults that somebody in the die chain takes for his own, as kprobes and debuggers do. After NOTIFY_STOP an int3 goes
 * unreported, and an oops, reported in full, kills nobody: who stopped it has seen to it that there is a way on.
 */
static unsigned long lab_way_on;

static int lab_take_fault(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	if (val == DIE_INT3 && args->regs->ip == lab_way_on)
		return NOTIFY_STOP;
	if (val != DIE_OOPS)
		return NOTIFY_DONE;
	args->regs->ip = lab_way_on;
	return NOTIFY_STOP;
}
static struct notifier_block lab_die_nb = { .notifier_call = lab_take_fault };

static noinline void lab_int3_stop(void)
{
	register_die_notifier(&lab_die_nb);
	__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; int3; 1:" : "=m"(lab_way_on) : : "rax", "memory");
	unregister_die_notifier(&lab_die_nb);
}

static noinline void lab_oops_stop(void)
{
	register_die_notifier(&lab_die_nb);
	__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; movl $1, 8; 1:" : "=m"(lab_way_on) : : "rax", "memory");
	unregister_die_notifier(&lab_die_nb);
}

#define KIND(name) { #name, lab_##name }
const struct lab_kind lab_kinds[] = {
	KIND(null_read), KIND(null_write), KIND(null_exec), KIND(unmapped_read), KIND(unmapped_write), KIND(highaddr_read),
	KIND(noncanon_read), KIND(noncanon_write), KIND(noncanon_movabs), KIND(noncanon_exec), KIND(user_read),
	KIND(user_write), KIND(user_exec), KIND(nx_exec), KIND(stackexec), KIND(text_write), KIND(rodata_write), KIND(div0),
	KIND(hlt_gp), KIND(ud1), KIND(ud2), KIND(int3), KIND(bug), KIND(bug_on), KIND(warn), KIND(warn_on), KIND(warn_once),
	KIND(warn_on_once), KIND(panic), KIND(dump_stack), KIND(regs), KIND(smash), KIND(return_address), KIND(overflow),
	KIND(listdel), KIND(listadd_twice), KIND(dblfree), KIND(badfree), KIND(use_after_free), KIND(out_of_bounds),
	KIND(badpage), KIND(alloc_huge), KIND(null_locked), KIND(atomic_sleep), KIND(loop), KIND(irqoff_loop), KIND(rdmsr),
	KIND(mce), KIND(halt_loop), KIND(might_sleep), KIND(compl_hang), KIND(mutex_hang), KIND(spinlock), KIND(ubsan_shift),
	KIND(int3_stop), KIND(oops_stop),
};
const unsigned int lab_kinds_count = ARRAY_SIZE(lab_kinds);
