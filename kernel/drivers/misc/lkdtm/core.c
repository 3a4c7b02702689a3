/*
 * LKDTM, the kernel's own collection of crash points: a name written to /sys/kernel/debug/provoke-crash/DIRECT runs
 * it in the writer's context; reading the file lists the names. Names and messages are those of Linux 6.1, so that
 * scripts for it (tools/testing/selftests/lkdtm) work here. Mirrors Linux drivers/misc/lkdtm/core.c.
 */
#include <linux/debugfs.h>
#include "lkdtm.h"

static const struct crashtype_category *const categories[] = {
	&bugs_crashtypes, &heap_crashtypes, &perms_crashtypes, &refcount_crashtypes, &usercopy_crashtypes,
	&stackleak_crashtypes, &cfi_crashtypes, &fortify_crashtypes, &powerpc_crashtypes,
};
static int recur_count = -1;

static const struct crashtype *find_crashtype(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(categories); i++)
		for (size_t k = 0; k < categories[i]->len; k++)
			if (!strcmp(name, categories[i]->crashtypes[k].name))
				return &categories[i]->crashtypes[k];
	return NULL;
}

bool lkdtm_check_bool_cmdline(const char *parameter)
{
	const char *at = strstr(saved_command_line, parameter);
	size_t length = strlen(parameter);

	return at && at[length] == '=' && (at[length + 1] == '1' || at[length + 1] == 'y' || !strncmp(at + length + 1, "on", 2));
}

static inline __attribute__((always_inline)) void lkdtm_do_action(const struct crashtype *crashtype)
{
	crashtype->func();
}

static noinline ssize_t direct_entry(struct file *file, const char __user *user_buf, size_t count, loff_t *off)
{
	const struct crashtype *crashtype;
	char *buf;

	if (count >= PAGE_SIZE || !count)
		return -EINVAL;
	buf = (char *)get_zeroed_page(GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	if (copy_from_user(buf, user_buf, count)) {
		free_page((unsigned long)buf);
		return -EFAULT;
	}
	while (count && (buf[count - 1] == '\n' || buf[count - 1] == ' '))
		buf[--count] = 0;
	crashtype = find_crashtype(buf);
	free_page((unsigned long)buf);
	if (!crashtype)
		return -EINVAL;
	lk_info("Performing direct entry %s\n", crashtype->name);
	lkdtm_do_action(crashtype);
	*off += count;
	return count + 1;
}

static ssize_t lkdtm_debugfs_read(struct file *file, char __user *user_buf, size_t count, loff_t *off)
{
	char *buf = (char *)get_zeroed_page(GFP_KERNEL);
	size_t n;
	ssize_t err;

	if (!buf)
		return -ENOMEM;
	n = scnprintf(buf, PAGE_SIZE, "Available crash types:\n");
	for (size_t i = 0; i < ARRAY_SIZE(categories); i++)
		for (size_t k = 0; k < categories[i]->len; k++)
			n += scnprintf(buf + n, PAGE_SIZE - n, "%s\n", categories[i]->crashtypes[k].name);
	err = simple_read_from_buffer(user_buf, count, off, buf, n);
	free_page((unsigned long)buf);
	return err;
}

static const struct file_operations direct_fops = { .read = lkdtm_debugfs_read, .write = direct_entry };

static int recur_count_setup(char *value)
{
	recur_count = simple_strtol(value, NULL, 0);
	return 1;
}
__setup("lkdtm.recur_count=", recur_count_setup);

static int lkdtm_module_init(void)
{
	struct dentry *root = debugfs_create_dir("provoke-crash", NULL);

	lkdtm_bugs_init(&recur_count);
	lkdtm_heap_init();
	lkdtm_usercopy_init();
	debugfs_create_file("DIRECT", 0644, root, NULL, &direct_fops);
	lk_info("No crash points registered, enable through debugfs\n");
	return 0;
}
late_initcall(lkdtm_module_init);
