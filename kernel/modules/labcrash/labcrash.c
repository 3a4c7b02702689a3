/*
 * labcrash: `echo "p null_read" > /sys/kernel/debug/labcrash/trigger` runs a fault of kinds.c. The letter chooses
 * the context, p the writing process itself; reading the file lists what there is.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include "kinds.h"

static noinline void lab_do(const struct lab_kind *kind)
{
	kind->run();
}

struct lab_context { char letter; const char *name; void (*run)(const struct lab_kind *kind); };
static const struct lab_context contexts[] = { { 'p', "process", lab_do } };

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
			contexts[i].run(kind);
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

	directory = debugfs_create_dir("labcrash", NULL);
	trigger = debugfs_create_file("trigger", 0600, directory, NULL, &lab_fops);
	return IS_ERR(trigger) ? PTR_ERR(trigger) : 0;
}

static void lab_exit(void)
{
	debugfs_remove(directory);
}

module_init(lab_init);
module_exit(lab_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults on demand, in every context");
