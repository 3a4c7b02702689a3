/* Waking the other processors: INIT, STARTUP, and what each does before it is idle. Mirrors Linux arch/x86/kernel/smpboot.c. */
#include <asm/apic.h>
#include <linux/interrupt.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>

extern char trampoline_start[], trampoline_end[];
extern unsigned long initial_stack, initial_gs;
extern char __per_cpu_start[], __per_cpu_end[];

/* An area of zeros and exception stacks for each CPU but the first, which has had its own since the first instruction. */
static bool setup_per_cpu_area(int cpu)
{
	struct cea_exception_stacks *stacks = kasan_reset_tag(vmalloc(sizeof(*stacks)));
	unsigned long size = (unsigned long)__per_cpu_end - (unsigned long)__per_cpu_start;
	unsigned int order = 0;
	struct page *page;

	while (PAGE_SIZE << order < size)
		order++;
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
	if (!page || !stacks) {
		if (page)
			__free_pages(page, order);
		vfree(stacks);
		return false;
	}
	__per_cpu_offset[cpu] = (unsigned long)kasan_reset_tag(page_address(page));
	per_cpu(this_cpu_off, cpu) = __per_cpu_offset[cpu];
	per_cpu(cpu_number, cpu) = cpu;
	per_cpu(cea_exception_stacks, cpu) = stacks;
	for_each_exception_guard(guard, stacks)
		*pte_of(init_top_pgt, (unsigned long)guard, false) &= ~_PAGE_PRESENT;
	return !irq_init_percpu_irqstack(cpu);
}

/* The first C of another processor, on the stack of its idle task. */
void start_secondary(void) __noreturn;
__attribute__((no_stack_protector)) void start_secondary(void)
{
	int cpu = smp_processor_id();

	cpu_init();
	load_current_idt();
	setup_local_APIC();
	setup_APIC_timer();
	hrtimers_init_cpu(cpu);
	__atomic_fetch_or(&__cpu_active_mask.bits[0], 1UL << cpu, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&__cpu_online_mask.bits[0], 1UL << cpu, __ATOMIC_SEQ_CST);
	preempt_count_set(0);
	local_irq_enable();
	cpu_startup_entry();
}

/* The processor waits for the trampoline's page number (SDM 3A 8.4.4). */
static int wakeup_secondary_cpu_via_init(int cpu)
{
	apic_icr_write(APIC_DM_INIT | APIC_INT_ASSERT, cpu_apicid[cpu]);
	udelay(10);
	for (int i = 0; i < 2 && !cpu_online(cpu); i++) {
		apic_icr_write(APIC_DM_STARTUP | APIC_INT_ASSERT | TRAMPOLINE >> PAGE_SHIFT, cpu_apicid[cpu]);
		for (int waited = 0; waited < (i ? 10000 : 1000) && !cpu_online(cpu); waited++)
			udelay(10);
	}
	return cpu_online(cpu) ? 0 : -EIO;
}

int __cpu_up(int cpu, struct task_struct *idle)
{
	char *page;

	if (!setup_per_cpu_area(cpu))
		return -ENOMEM;
	per_cpu(current_task, cpu) = idle;
	per_cpu(fixed_percpu_data, cpu).stack_canary = idle->stack_canary;
	init_idle(idle, cpu);
	initial_gs = __per_cpu_offset[cpu];
	initial_stack = (unsigned long)task_pt_regs(idle);
	page = __va(TRAMPOLINE);
	__asm__("" : "+r"(page)); /* an address, not an object of known size */
	memcpy(page, trampoline_start, trampoline_end - trampoline_start);
	barrier();
	return wakeup_secondary_cpu_via_init(cpu);
}
