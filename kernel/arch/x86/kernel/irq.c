/*
 * Interrupts on their way to a handler: the 8259 pair's lines, the local APIC's vectors, and the stack they run
 * on. The C function of a vector is entered on the stack that was interrupted and moves to the CPU's interrupt
 * stack, unless it is there already. Mirrors Linux arch/x86/kernel/irq.c and include/asm/irq_stack.h.
 */
#include <asm/apic.h>
#include <linux/interrupt.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>

DEFINE_PER_CPU(bool, hardirq_stack_inuse);
DEFINE_PER_CPU(struct pt_regs *, irq_regs);
DEFINE_PER_CPU(unsigned int, apic_timer_irqs);
DEFINE_PER_CPU(unsigned int, irq_resched_count);
DEFINE_PER_CPU(unsigned int, irq_call_count);
DEFINE_PER_CPU(unsigned int, __nmi_count);
static irq_handler_t handlers[16];
unsigned long irq_counts[16];

struct pt_regs *get_irq_regs(void)
{
	return this_cpu_read(irq_regs);
}

/*
 * The handler between __irq_enter() and __irq_exit_rcu(), all on the interrupt stack; its top word leads back.
 * The compiler finds its frame by RBP, so that the stack pointer may move.
 */
static __attribute__((always_inline)) inline void run_on_irqstack(void (*handler)(struct pt_regs *), struct pt_regs *regs, bool count)
{
	struct pt_regs *old = this_cpu_read(irq_regs);

	this_cpu_write(irq_regs, regs);
	if (!user_mode(regs) && this_cpu_read(hardirq_stack_inuse)) {
		if (count)
			__irq_enter();
		handler(regs);
		if (count)
			__irq_exit_rcu();
	} else {
		register unsigned long top __asm__("rbx") = (unsigned long)this_cpu_read(hardirq_stack_ptr);

		this_cpu_write(hardirq_stack_inuse, true);
		if (count)
			__asm__ volatile("movq %%rsp, (%0)\n\t"
					 "movq %0, %%rsp\n\t"
					 "call __irq_enter\n\t"
					 "movq %2, %%rdi\n\t"
					 "call %P1\n\t"
					 "call __irq_exit_rcu\n\t"
					 "popq %%rsp"
					 : "+r"(top)
					 : "i"(handler), "r"(regs)
					 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
		else
			__asm__ volatile("movq %%rsp, (%0)\n\t"
					 "movq %0, %%rsp\n\t"
					 "movq %2, %%rdi\n\t"
					 "call %P1\n\t"
					 "popq %%rsp"
					 : "+r"(top)
					 : "i"(handler), "r"(regs)
					 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
		this_cpu_write(hardirq_stack_inuse, false);
	}
	this_cpu_write(irq_regs, old);
}

#define DEFINE_SYSVEC(name, count)                                       \
	static noinline void __##name(struct pt_regs *regs);             \
	void name(struct pt_regs *regs);                                 \
	void name(struct pt_regs *regs)                                  \
	{                                                                \
		run_on_irqstack(__##name, regs, count);                  \
	}                                                                \
	static noinline __used void __##name(struct pt_regs *regs)

DEFINE_SYSVEC(sysvec_apic_timer_interrupt, true)
{
	ack_APIC_irq();
	this_cpu_write(apic_timer_irqs, this_cpu_read(apic_timer_irqs) + 1);
	hrtimer_interrupt();
}

/* The reschedule interrupt only makes the CPU look at TIF_NEED_RESCHED on its way out. */
DEFINE_SYSVEC(sysvec_reschedule_ipi, false)
{
	ack_APIC_irq();
	this_cpu_write(irq_resched_count, this_cpu_read(irq_resched_count) + 1);
}

void generic_smp_call_function_single_interrupt(void);
DEFINE_SYSVEC(sysvec_call_function_single, true)
{
	ack_APIC_irq();
	this_cpu_write(irq_call_count, this_cpu_read(irq_call_count) + 1);
	generic_smp_call_function_single_interrupt();
}

DEFINE_SYSVEC(sysvec_call_function, true)
{
	ack_APIC_irq();
	this_cpu_write(irq_call_count, this_cpu_read(irq_call_count) + 1);
	generic_smp_call_function_single_interrupt();
}

void stop_this_cpu(void) __noreturn;
DEFINE_SYSVEC(sysvec_reboot, true)
{
	ack_APIC_irq();
	stop_this_cpu();
}

DEFINE_SYSVEC(sysvec_error_interrupt, true)
{
	ack_APIC_irq();
	pr_err("APIC error on CPU%d\n", smp_processor_id());
}

DEFINE_SYSVEC(sysvec_spurious_apic_interrupt, true)
{
}

void request_irq(int irq, irq_handler_t handler)
{
	u16 port = irq < 8 ? 0x21 : 0xa1;

	handlers[irq] = handler;
	outb(port, inb(port) & ~(1 << (irq & 7)));
	if (irq >= 8)
		outb(0x21, inb(0x21) & ~4);
}

static noinline void handle_edge_irq(int irq)
{
	irq_counts[irq]++;
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
	if (handlers[irq])
		handlers[irq](irq);
}

DEFINE_PER_CPU(int, current_irq);
static noinline __used void __common_interrupt(struct pt_regs *regs)
{
	handle_edge_irq(this_cpu_read(current_irq));
}

void common_interrupt(struct pt_regs *regs, unsigned long vector);
void common_interrupt(struct pt_regs *regs, unsigned long vector)
{
	this_cpu_write(current_irq, (int)vector - 0x20);
	run_on_irqstack(__common_interrupt, regs, true);
}

/* The interrupt stack of a CPU, with a guard page below it. */
int irq_init_percpu_irqstack(int cpu)
{
	char *stack = kasan_reset_tag(vmalloc(THREAD_SIZE));

	if (!stack)
		return -ENOMEM;
	per_cpu(hardirq_stack_ptr, cpu) = stack + THREAD_SIZE - 8;
	return 0;
}

void init_IRQ(void)
{
	if (irq_init_percpu_irqstack(0))
		panic("init_IRQ: no memory for the interrupt stack");
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	init_apic_mappings();
	setup_local_APIC();
}
