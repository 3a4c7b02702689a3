/* Calls from one CPU to another, and bringing them up. Mirrors Linux kernel/smp.c and cpu.c. */
#include <asm/processor.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

/* One call on its way. The caller owns it and waits until it is not locked any more. */
struct call_single_data { struct call_single_data *next; smp_call_func_t func; void *info; int locked; };
DEFINE_PER_CPU(struct call_single_data *, call_single_queue);
/* Calls nobody waits for: one from each CPU to each. */
DEFINE_PER_CPU(struct call_single_data, csd_data[NR_CPUS]);

/* Runs what is queued for this CPU, oldest first. */
static noinline void __flush_smp_call_function_queue(void)
{
	struct call_single_data *list = __atomic_exchange_n(this_cpu_ptr(&call_single_queue), NULL, __ATOMIC_ACQUIRE), *ordered = NULL, *next;

	for (; list; list = next) {
		next = list->next;
		list->next = ordered;
		ordered = list;
	}
	for (; ordered; ordered = next) {
		smp_call_func_t func = ordered->func;
		void *info = ordered->info;

		next = ordered->next;
		func(info);
		__atomic_store_n(&ordered->locked, 0, __ATOMIC_RELEASE);
	}
}

void flush_smp_call_function_queue(void)
{
	unsigned long flags = local_irq_save();

	if (this_cpu_read(call_single_queue))
		__flush_smp_call_function_queue();
	local_irq_restore(flags);
}

/* What the interrupt of a call does. */
void generic_smp_call_function_single_interrupt(void);
void generic_smp_call_function_single_interrupt(void)
{
	__flush_smp_call_function_queue();
}

/* True when the queue was empty: the other CPU must be told. */
static bool queue_call(int cpu, struct call_single_data *csd)
{
	struct call_single_data **head = per_cpu_ptr(&call_single_queue, cpu), *first = READ_ONCE(*head);

	csd->locked = 1;
	do
		csd->next = first;
	while (!__atomic_compare_exchange_n(head, &first, csd, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return !first;
}

/* A waiter with interrupts off answers calls itself: the other CPU may be waiting for it in the same way. */
static void wait_for_call(struct call_single_data *csd)
{
	while (__atomic_load_n(&csd->locked, __ATOMIC_ACQUIRE)) {
		if (irqs_disabled())
			flush_smp_call_function_queue();
		cpu_relax();
	}
}

int smp_call_function_single(int cpu, smp_call_func_t fn, void *info, bool wait)
{
	struct call_single_data onstack = { .func = fn, .info = info }, *csd = &onstack;

	if (!cpu_online(cpu))
		return -EINVAL;
	if (cpu == smp_processor_id()) {
		unsigned long flags = local_irq_save();

		fn(info);
		local_irq_restore(flags);
		return 0;
	}
	if (!wait) {
		csd = &(*this_cpu_ptr(&csd_data))[cpu];
		wait_for_call(csd);
		csd->func = fn;
		csd->info = info;
	}
	if (queue_call(cpu, csd))
		arch_send_call_function_single_ipi(cpu);
	if (wait)
		wait_for_call(csd);
	return 0;
}

void smp_call_function_many(unsigned long mask, smp_call_func_t fn, void *info, bool wait)
{
	struct call_single_data csd[NR_CPUS], *array = wait ? csd : *this_cpu_ptr(&csd_data);
	unsigned long tell = 0;
	int cpu;

	mask &= __cpu_online_mask.bits[0] & ~(1UL << smp_processor_id());
	if (!mask)
		return;
	for_each_cpu(cpu, mask) {
		if (!wait)
			wait_for_call(&array[cpu]);
		array[cpu].func = fn;
		array[cpu].info = info;
		if (queue_call(cpu, &array[cpu]))
			tell |= 1UL << cpu;
	}
	if (tell)
		arch_send_call_function_ipi_mask(tell);
	if (wait)
		for_each_cpu(cpu, mask)
			wait_for_call(&array[cpu]);
}

void on_each_cpu(smp_call_func_t fn, void *info, bool wait)
{
	unsigned long flags;

	smp_call_function_many(~0UL, fn, info, wait);
	flags = local_irq_save();
	fn(info);
	local_irq_restore(flags);
}

void cpumask_list(char *buf, size_t size, unsigned long mask)
{
	size_t n = 0;

	buf[0] = 0;
	for (int cpu = 0; cpu < NR_CPUS; cpu++) {
		int last = cpu;

		if (!(mask >> cpu & 1))
			continue;
		while (last + 1 < NR_CPUS && mask >> (last + 1) & 1)
			last++;
		n += scnprintf(buf + n, size - n, "%s%d", n ? "," : "", cpu);
		if (last > cpu)
			n += scnprintf(buf + n, size - n, "-%d", last);
		cpu = last;
	}
}

/* One after another, while there is nothing else to run. */
void smp_init(void)
{
	int present = __builtin_popcountl(__cpu_present_mask.bits[0]);

	if (present == 1 || setup_max_cpus <= 1)
		return;
	pr_info("smp: Bringing up secondary CPUs ...\n");
	pr_info("x86: Booting SMP configuration:\n");
	pr_info(".... node  #0, CPUs:     ");
	for (int cpu = 1; cpu < present && num_online_cpus() < setup_max_cpus; cpu++) {
		struct task_struct *idle = fork_idle(cpu);
		int err;

		pr_cont(" #%d", cpu);
		err = IS_ERR(idle) ? -ENOMEM : __cpu_up(cpu, idle);
		if (err)
			pr_err("CPU%d failed to report alive state\n", cpu);
	}
	pr_cont("\n");
	pr_info("smp: Brought up 1 node, %d CPU%s\n", num_online_cpus(), num_online_cpus() == 1 ? "" : "s");
	pr_info("smpboot: Total of %d processors activated (%u.%02u BogoMIPS)\n", num_online_cpus(),
		num_online_cpus() * (cpu_khz / 500), cpu_khz / 5 % 100);
}
EXPORT_SYMBOL(smp_call_function_single);
EXPORT_SYMBOL(on_each_cpu);
EXPORT_SYMBOL(__cpu_online_mask);
