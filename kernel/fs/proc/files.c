/* The files of /proc that concern the whole system, and /proc/sys. Mirrors Linux fs/proc/{version,meminfo,uptime,...}.c and kernel/sysctl.c. */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/smp.h>

extern unsigned long irq_counts[16], total_forks;
unsigned long nr_anon_pages(void);
unsigned long nr_slab_pages(void);

static int show_version(struct seq_file *m, void *data)
{
	seq_printf(m, "%s", linux_banner);
	return 0;
}

static int show_cmdline(struct seq_file *m, void *data)
{
	seq_printf(m, "%s\n", saved_command_line);
	return 0;
}

static int show_uptime(struct seq_file *m, void *data)
{
	u64 hundredths = sched_clock() / 10000000;

	seq_printf(m, "%lu.%02lu 0.00\n", (unsigned long)(hundredths / 100), (unsigned long)(hundredths % 100));
	return 0;
}

static int show_meminfo(struct seq_file *m, void *data)
{
	unsigned long total = _totalram_pages.counter, free = nr_free_pages();
	const struct { const char *name; unsigned long pages; } rows[] = {
		{ "MemTotal", total }, { "MemFree", free }, { "MemAvailable", free }, { "Buffers", 0 }, { "Cached", 0 },
		{ "SwapCached", 0 }, { "Active", nr_anon_pages() }, { "Inactive", 0 }, { "Active(anon)", nr_anon_pages() },
		{ "Inactive(anon)", 0 }, { "SwapTotal", 0 }, { "SwapFree", 0 }, { "Dirty", 0 }, { "Writeback", 0 },
		{ "AnonPages", nr_anon_pages() }, { "Mapped", 0 }, { "Shmem", 0 }, { "Slab", nr_slab_pages() },
		{ "SReclaimable", 0 }, { "SUnreclaim", nr_slab_pages() }, { "KernelStack", nr_threads * (THREAD_SIZE >> PAGE_SHIFT) },
		{ "CommitLimit", total / 2 }, { "VmallocTotal", (VMALLOC_END + 1 - VMALLOC_START) >> PAGE_SHIFT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		seq_printf(m, "%s:%*lu kB\n", rows[i].name, 23 - (int)strlen(rows[i].name), rows[i].pages << 2);
	return 0;
}

DECLARE_PER_CPU(unsigned int, apic_timer_irqs);
DECLARE_PER_CPU(unsigned int, irq_resched_count);
DECLARE_PER_CPU(unsigned int, irq_call_count);
DECLARE_PER_CPU(unsigned int, __nmi_count);

static int show_interrupts(struct seq_file *m, void *data)
{
	static const struct { const char *name, *text; unsigned int *count; } local[] = {
		{ "NMI", "Non-maskable interrupts", &__nmi_count }, { "LOC", "Local timer interrupts", &apic_timer_irqs },
		{ "RES", "Rescheduling interrupts", &irq_resched_count }, { "CAL", "Function call interrupts", &irq_call_count },
	};
	int cpu;

	seq_printf(m, "           ");
	for_each_online_cpu(cpu)
		seq_printf(m, "CPU%-8d", cpu);
	seq_printf(m, "\n");
	for (int i = 0; i < 16; i++) {
		if (!irq_counts[i])
			continue;
		seq_printf(m, "%3d: ", i);
		for_each_online_cpu(cpu)
			seq_printf(m, "%10lu ", cpu ? 0UL : irq_counts[i]); /* the 8259 pair interrupts the first CPU only */
		seq_printf(m, "   XT-PIC\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
		seq_printf(m, "%s: ", local[i].name);
		for_each_online_cpu(cpu)
			seq_printf(m, "%10u ", *per_cpu_ptr(local[i].count, cpu));
		seq_printf(m, "  %s\n", local[i].text);
	}
	return 0;
}

static int show_cpuinfo(struct seq_file *m, void *data)
{
	int cpu;

	for_each_online_cpu(cpu) {
		struct cpuinfo_x86 *c = per_cpu_ptr(&cpu_info, cpu);

		seq_printf(m, "processor\t: %d\nvendor_id\t: %.12s\nmodel name\t: %s\ncpu MHz\t\t: %u.%03u\n\n", cpu, c->x86_vendor_id,
			   c->x86_model_id[0] ? c->x86_model_id : "unknown", cpu_khz / 1000, cpu_khz % 1000);
	}
	return 0;
}

static int show_loadavg(struct seq_file *m, void *data)
{
	seq_printf(m, "0.00 0.00 0.00 %u/%d %lu\n", per_cpu(runqueues, 0).nr_running + 1, nr_threads, total_forks);
	return 0;
}

static int show_mounts(struct seq_file *m, void *data)
{
	seq_printf(m, "rootfs / rootfs rw 0 0\n");
	return 0;
}

static int show_filesystems(struct seq_file *m, void *data)
{
	seq_printf(m, "nodev\trootfs\n");
	return 0;
}

static int show_tainted(struct seq_file *m, void *data)
{
	seq_printf(m, "%lu\n", tainted_mask);
	return 0;
}

/* Flags can be set, never cleared (Linux kernel/sysctl.c: proc_taint). */
static int store_tainted(const char *text, size_t n, void *data)
{
	char *end;
	unsigned long mask = simple_strtoul(text, &end, 0);

	if (end == text || (*end && *end != '\n'))
		return -EINVAL;
	if (panic_on_taint_nousertaint && mask & panic_on_taint)
		return -EINVAL;
	for (int i = 0; i < TAINT_FLAGS_COUNT; i++)
		if (mask >> i & 1)
			add_taint(i, LOCKDEP_STILL_OK);
	return 0;
}

static int show_printk(struct seq_file *m, void *data)
{
	seq_printf(m, "%d\t4\t1\t7\n", console_loglevel);
	return 0;
}

static int store_printk(const char *text, size_t n, void *data)
{
	char *end;
	long level = simple_strtol(text, &end, 0);

	if (end == text || level < 0 || level > 15)
		return -EINVAL;
	console_loglevel = level;
	return 0;
}

static int show_string(struct seq_file *m, void *data)
{
	seq_printf(m, "%s\n", (const char *)data);
	return 0;
}

static const struct text_file files[] = {
	{ "/proc/version", 0444, show_version, NULL, NULL },
	{ "/proc/cmdline", 0444, show_cmdline, NULL, NULL },
	{ "/proc/uptime", 0444, show_uptime, NULL, NULL },
	{ "/proc/meminfo", 0444, show_meminfo, NULL, NULL },
	{ "/proc/interrupts", 0444, show_interrupts, NULL, NULL },
	{ "/proc/cpuinfo", 0444, show_cpuinfo, NULL, NULL },
	{ "/proc/loadavg", 0444, show_loadavg, NULL, NULL },
	{ "/proc/mounts", 0444, show_mounts, NULL, NULL },
	{ "/proc/filesystems", 0444, show_filesystems, NULL, NULL },
	{ "/proc/sys/kernel/tainted", 0644, show_tainted, store_tainted, NULL },
	{ "/proc/sys/kernel/printk", 0644, show_printk, store_printk, NULL },
	{ "/proc/sys/kernel/osrelease", 0444, show_string, NULL, UTS_RELEASE },
	{ "/proc/sys/kernel/version", 0444, show_string, NULL, UTS_VERSION },
	{ "/proc/sys/kernel/ostype", 0444, show_string, NULL, "Linux" },
	{ "/proc/sys/kernel/hostname", 0444, show_string, NULL, init_uts_ns.name.nodename },
};

static int proc_files_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		register_text_file(&files[i]);
	register_sysctl_int("/proc/sys/kernel/panic", &panic_timeout);
	register_sysctl_int("/proc/sys/kernel/panic_on_oops", &panic_on_oops);
	register_sysctl_int("/proc/sys/kernel/panic_on_warn", &panic_on_warn);
	return 0;
}
fs_initcall(proc_files_init);
