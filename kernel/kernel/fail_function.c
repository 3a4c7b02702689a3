/*
 * Functions that return an error instead of doing what they should: /sys/kernel/debug/fail_function. The function's
 * first byte, a NOP, becomes INT3; whether the call fails is decided in the breakpoint's handler. Mirrors Linux
 * kernel/fail_function.c (which uses kprobes) and lib/error-inject.c.
 */
#include <linux/debugfs.h>
#include <linux/error-injection.h>
#include <linux/fault-inject.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/set_memory.h>

#define NOP 0x90
#define INT3 0xcc
struct fei_attr { struct list_head list; unsigned long addr, retval; int etype; char name[KSYM_NAME_LEN]; struct dentry *dir; };
static LIST_HEAD(fei_attr_list);
static struct fault_attr fei_fault_attr = FAULT_ATTR_INITIALIZER("fail_function");
static struct dentry *fei_debugfs_dir;

void just_return_func(void);
__asm__(".text\n.type just_return_func, @function\njust_return_func:\n.cfi_startproc\n	ret\n.cfi_endproc\n.size just_return_func, . - just_return_func\n");

static const struct error_injection_entry *injectable(unsigned long addr)
{
	for (const struct error_injection_entry *e = __start__error_injection_whitelist; e < __stop__error_injection_whitelist; e++)
		if (e->addr == addr)
			return e;
	return NULL;
}

/* The value itself when it is one that the function may return, else one that is. */
static unsigned long adjust_error_retval(int etype, unsigned long value)
{
	bool is_error = value >= (unsigned long)-MAX_ERRNO;

	switch (etype) {
	case EI_ETYPE_NULL:
		return 0;
	case EI_ETYPE_ERRNO:
		return is_error ? value : (unsigned long)-EINVAL;
	case EI_ETYPE_ERRNO_NULL:
		return is_error || !value ? value : (unsigned long)-EINVAL;
	default:
		return 1;
	}
}

static void poke(unsigned long addr, u8 byte)
{
	set_memory_rw(addr & PAGE_MASK, 1);
	*(volatile u8 *)addr = byte;
	set_memory_ro(addr & PAGE_MASK, 1);
}

static noinline int fei_breakpoint(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	struct fei_attr *attr;

	if (action != DIE_INT3)
		return NOTIFY_DONE;
	list_for_each_entry(attr, &fei_attr_list, list)
		if (attr->addr == regs->ip - 1) {
			if (should_fail(&fei_fault_attr, 1)) {
				regs->ax = attr->retval;
				regs->ip = (unsigned long)just_return_func;
			}
			return NOTIFY_STOP; /* else on behind the NOP */
		}
	return NOTIFY_DONE;
}
static struct notifier_block fei_notifier = { .notifier_call = fei_breakpoint, .priority = 0x7fffffff };

static struct fei_attr *fei_attr_find(const char *name)
{
	struct fei_attr *attr;

	list_for_each_entry(attr, &fei_attr_list, list)
		if (!strcmp(attr->name, name))
			return attr;
	return NULL;
}

static ssize_t fei_retval_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	char text[24];

	return simple_read_from_buffer(buf, n, pos, text, scnprintf(text, sizeof(text), "%lx\n", ((struct fei_attr *)file->private_data)->retval));
}

static ssize_t fei_retval_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	struct fei_attr *attr = file->private_data;
	char text[24], *end;
	unsigned long value;

	if (n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[n] = 0;
	value = simple_strtol(text, &end, 0);
	if (end == text || (*end && *end != '\n') || adjust_error_retval(attr->etype, value) != value)
		return -EINVAL;
	attr->retval = value;
	return n;
}
static const struct file_operations fei_retval_ops = { .read = fei_retval_read, .write = fei_retval_write };

static void fei_attr_remove(struct fei_attr *attr)
{
	poke(attr->addr, NOP);
	debugfs_remove(attr->dir);
	list_del_init(&attr->list);
	kfree(attr);
}

static int fei_attr_add(const char *name)
{
	unsigned long addr = kallsyms_lookup_name(name);
	const struct error_injection_entry *entry = addr ? injectable(addr) : NULL;
	struct fei_attr *attr;

	if (!addr)
		return -EINVAL;
	if (!entry)
		return -ERANGE;
	if (fei_attr_find(name))
		return -EBUSY;
	attr = kzalloc(sizeof(*attr), GFP_KERNEL);
	if (!attr)
		return -ENOMEM;
	attr->addr = addr;
	attr->etype = entry->etype;
	attr->retval = adjust_error_retval(entry->etype, 0);
	strscpy(attr->name, name, sizeof(attr->name));
	attr->dir = debugfs_create_dir(name, fei_debugfs_dir);
	debugfs_create_file("retval", 0600, attr->dir, attr, &fei_retval_ops);
	list_add_tail(&attr->list, &fei_attr_list);
	poke(addr, INT3);
	return 0;
}

static ssize_t fei_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	char text[1024];
	size_t used = 0;
	struct fei_attr *attr;

	list_for_each_entry(attr, &fei_attr_list, list)
		used += scnprintf(text + used, sizeof(text) - used, "%s\n", attr->name);
	return simple_read_from_buffer(buf, n, pos, text, used);
}

/* `function` lets it fail, `!function` no more, an empty line none. */
static ssize_t fei_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	char text[KSYM_NAME_LEN + 2], *name = text;
	struct fei_attr *attr, *next;
	size_t length = n;
	int err;

	if (n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[n] = 0;
	while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
		text[--length] = 0;
	while (*name == ' ')
		name++;
	if (!*name) {
		list_for_each_entry_safe(attr, next, &fei_attr_list, list)
			fei_attr_remove(attr);
		return n;
	}
	if (*name == '!') {
		attr = fei_attr_find(name + 1);
		if (!attr)
			return -ENOENT;
		fei_attr_remove(attr);
		return n;
	}
	err = fei_attr_add(name);
	return err ? err : (ssize_t)n;
}
static const struct file_operations fei_ops = { .read = fei_read, .write = fei_write };

static ssize_t ei_list_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	static const char *const types[] = { "?", "NULL", "ERRNO", "ERRNO_NULL", "TRUE" };
	static char text[8192]; /* the kernel is not preempted in here */
	char symbol[KSYM_SYMBOL_LEN];
	size_t used = 0;

	for (const struct error_injection_entry *e = __start__error_injection_whitelist; e < __stop__error_injection_whitelist; e++) {
		sprint_symbol(symbol, e->addr);
		used += scnprintf(text + used, sizeof(text) - used, "%.*s\t%s\n", (int)(strchr(symbol, '+') - symbol), symbol, types[e->etype]);
	}
	return simple_read_from_buffer(buf, n, pos, text, used);
}
static const struct file_operations ei_ops = { .read = ei_list_read };

static int fei_debugfs_init(void)
{
	fei_fault_attr.any_context = true;
	fei_debugfs_dir = fault_create_debugfs_attr("fail_function", NULL, &fei_fault_attr);
	debugfs_create_file("inject", 0600, fei_debugfs_dir, NULL, &fei_ops);
	debugfs_create_file("list", 0444, debugfs_create_dir("error_injection", NULL), NULL, &ei_ops);
	return register_die_notifier(&fei_notifier);
}
late_initcall(fei_debugfs_init);
