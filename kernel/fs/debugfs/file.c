/*
 * Operations of files in debugfs. Each goes through a proxy that finds the owner's operations at the entry, so that
 * traces show full_proxy_write() below the owner's. Mirrors Linux fs/debugfs/file.c.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>

static const struct file_operations *real_fops(const struct file *file)
{
	return file->f_path.dentry->d_fsdata;
}

static int full_proxy_open(struct inode *inode, struct file *file)
{
	file->private_data = inode->i_private;
	return real_fops(file) && real_fops(file)->open ? real_fops(file)->open(inode, file) : 0;
}

static void full_proxy_release(struct inode *inode, struct file *file)
{
	if (real_fops(file) && real_fops(file)->release)
		real_fops(file)->release(inode, file);
}

static noinline ssize_t full_proxy_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	const struct file_operations *fops = real_fops(file);

	if (!fops)
		return -EIO;
	return fops->read ? fops->read(file, buf, n, pos) : -EINVAL;
}

static noinline ssize_t full_proxy_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	const struct file_operations *fops = real_fops(file);

	if (!fops)
		return -EIO;
	return fops->write ? fops->write(file, buf, n, pos) : -EINVAL;
}

const struct file_operations debugfs_full_proxy_file_operations = {
	.open = full_proxy_open, .release = full_proxy_release, .read = full_proxy_read, .write = full_proxy_write,
};

struct number { void *value; enum debugfs_kind kind; };

static ssize_t debugfs_attr_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	const struct number *number = file->private_data;
	char text[32];
	size_t length;

	switch (number->kind) {
	case DEBUGFS_U32:
		length = scnprintf(text, sizeof(text), "%u\n", *(u32 *)number->value);
		break;
	case DEBUGFS_INT:
		length = scnprintf(text, sizeof(text), "%d\n", *(int *)number->value);
		break;
	case DEBUGFS_ULONG:
		length = scnprintf(text, sizeof(text), "%lu\n", *(unsigned long *)number->value);
		break;
	default:
		length = scnprintf(text, sizeof(text), "%c\n", *(bool *)number->value ? 'Y' : 'N');
	}
	return simple_read_from_buffer(buf, n, pos, text, length);
}

static int store_bool(const char *text, bool *value)
{
	if (*text == '1' || *text == 'y' || *text == 'Y')
		*value = true;
	else if (*text == '0' || *text == 'n' || *text == 'N')
		*value = false;
	else
		return -EINVAL;
	return 0;
}

static ssize_t debugfs_attr_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	const struct number *number = file->private_data;
	char text[32], *end;
	long value;

	if (n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[n] = 0;
	if (number->kind == DEBUGFS_BOOL)
		return store_bool(text, number->value) ? -EINVAL : (ssize_t)n;
	value = simple_strtol(text, &end, 0);
	if (end == text || (*end && *end != '\n') || (number->kind != DEBUGFS_ULONG && value != (int)value && value != (long)(u32)value))
		return -EINVAL;
	if (number->kind == DEBUGFS_ULONG)
		*(unsigned long *)number->value = value;
	else
		*(u32 *)number->value = value;
	return n;
}

static const struct file_operations number_fops = { .read = debugfs_attr_read, .write = debugfs_attr_write };

struct dentry *debugfs_create_number(const char *name, umode_t mode, struct dentry *parent, void *value, enum debugfs_kind kind)
{
	struct number *number = kzalloc(sizeof(*number), GFP_KERNEL);

	if (!number)
		return ERR_PTR(-ENOMEM);
	*number = (struct number){ value, kind };
	return debugfs_create_file(name, mode, parent, number, &number_fops);
}
