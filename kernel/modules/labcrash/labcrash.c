/*
 * labcrash: `echo "p null_read" > /sys/kernel/debug/labcrash/trigger` runs a fault of kinds.c. The letter chooses
 * the context, p the writing process itself, h an interrupt and so on; reading the file lists what there is.
 */
#include <asm/processor.h>
#include <linux/debugfs.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include "kinds.h"

static noinline void lab_do(const struct lab_kind *kind)
{
	kind->run();
}

/* One fault at a time is on its way to another context. */
static const struct lab_kind *pending;
static struct timer_list timer;
static struct hrtimer hrtimer;
static struct work_struct work;

static enum hrtimer_restart lab_hrtimer(struct hrtimer *unused)
{
	lab_do(pending);
	return HRTIMER_NORESTART;
}

static void lab_timer(struct timer_list *unused)
{
	lab_do(pending);
}

static void lab_work(struct work_struct *unused)
{
	lab_do(pending);
}

static int lab_thread(void *unused)
{
	lab_do(pending);
	return 0;
}

static void lab_ipi(void *unused)
{
	lab_do(pending);
}

static void in_hardirq_context(const struct lab_kind *kind)
{
	hrtimer_start(&hrtimer, 5000000);
}

static void in_softirq_context(const struct lab_kind *kind)
{
	mod_timer(&timer, jiffies + 5);
}

static void in_workqueue(const struct lab_kind *kind)
{
	schedule_work(&work);
}

static void in_kthread(const struct lab_kind *kind)
{
	kthread_run(lab_thread, NULL, "labthread");
}

/* On the next CPU, from an interrupt that this one sends. */
static void in_ipi(const struct lab_kind *kind)
{
	int this_cpu = smp_processor_id(), cpu;

	for (cpu = (this_cpu + 1) % NR_CPUS; !cpu_online(cpu); cpu = (cpu + 1) % NR_CPUS)
		;
	if (cpu != this_cpu)
		smp_call_function_single(cpu, lab_ipi, NULL, false);
	else
		printk(KERN_INFO "labcrash: there is no other CPU\n");
}

struct lab_context { char letter; const char *name; void (*run)(const struct lab_kind *kind); };
static const struct lab_context contexts[] = {
	{ 'p', "process", lab_do }, { 'h', "hardirq", in_hardirq_context }, { 't', "timer_softirq", in_softirq_context },
	{ 'w', "workqueue", in_workqueue }, { 'k', "kthread", in_kthread }, { 'i', "ipi", in_ipi },
};

static noinline ssize_t lab_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	char text[64];
	const struct lab_kind *kind;

	if (n < 3 || n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[text[n - 1] == '\n' ? n - 1 : n] = 0;
	kind = text[1] == ' ' ? lab_kind_find(text + 2) : NULL;
	if (!kind)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
		if (contexts[i].letter == text[0]) {
			pending = kind;
			contexts[i].run(kind);
			if (i) /* it happens while this process sleeps */
				msleep(20);
			return n;
		}
	return -EINVAL;
}

static ssize_t lab_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	char text[1024];
	size_t length = 0;

	for (size_t i = 0; i < ARRAY_SIZE(contexts); i++)
		length += scnprintf(text + length, sizeof(text) - length, "%c: %s\n", contexts[i].letter, contexts[i].name);
	for (unsigned int i = 0; i < lab_kinds_count; i++)
		length += scnprintf(text + length, sizeof(text) - length, "%s\n", lab_kinds[i].name);
	return simple_read_from_buffer(buf, n, pos, text, length);
}

static const struct file_operations lab_fops = { .read = lab_read, .write = lab_write };
static struct dentry *directory;

static int lab_init(void)
{
	struct dentry *trigger;

	timer_setup(&timer, lab_timer, 0);
	hrtimer_init(&hrtimer, lab_hrtimer);
	INIT_WORK(&work, lab_work);
	directory = debugfs_create_dir("labcrash", NULL);
	trigger = debugfs_create_file("trigger", 0600, directory, NULL, &lab_fops);
	return IS_ERR(trigger) ? PTR_ERR(trigger) : 0;
}

static void lab_exit(void)
{
	del_timer_sync(&timer);
	debugfs_remove(directory);
}

module_init(lab_init);
module_exit(lab_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults on demand, in every context");
