/*
 * Files that are text made on the spot: /proc, /proc/sys, /sys. The text is made at the first read, so that a
 * reader sees one moment. Mirrors Linux fs/seq_file.c (single_open) and kernel/sysctl.c (proc_dointvec).
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#define TEXT_MAX (1UL << 20)

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	if (m->count >= m->size)
		return;
	va_start(args, fmt);
	m->count += vsnprintf(m->buf + m->count, m->size - m->count, fmt, args);
	va_end(args);
	if (m->count >= m->size)
		m->count = m->size; /* overflow: tried again with more */
}

static int make_text(struct seq_file *m, const struct text_file *f)
{
	for (m->size = PAGE_SIZE; m->size <= TEXT_MAX; m->size *= 4) {
		int err;

		m->buf = vmalloc(m->size);
		if (!m->buf)
			return -ENOMEM;
		m->count = 0;
		err = f->show(m, f->data);
		if (!err && m->count < m->size)
			return 0;
		vfree(m->buf);
		m->buf = NULL;
		if (err)
			return err;
	}
	return -EFBIG;
}

static int text_open(struct inode *inode, struct file *file)
{
	struct seq_file *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return -ENOMEM;
	file->private_data = m;
	return 0;
}

static void text_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	vfree(m->buf);
	kfree(m);
}

static ssize_t seq_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	const struct text_file *f = file->f_inode->i_private;
	struct seq_file *m = file->private_data;

	if (!f->show)
		return -EINVAL;
	if (!m->buf) {
		int err = make_text(m, f);

		if (err)
			return err;
	}
	if (*pos >= (loff_t)m->count)
		return 0;
	n = min(n, m->count - *pos);
	if (copy_to_user(buf, m->buf + *pos, n))
		return -EFAULT;
	*pos += n;
	return n;
}

static ssize_t text_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	const struct text_file *f = file->f_inode->i_private;
	char text[256];
	int err, depth;

	if (!f->store || n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[n] = 0;
	depth = release_kernel_lock(); /* what is asked for may take long or never end */
	err = f->store(text, n, f->data);
	reacquire_kernel_lock(depth);
	return err ? err : (ssize_t)n;
}

static const struct file_operations text_file_operations = {
	.open = text_open, .release = text_release, .read = seq_read, .write = text_write, .locked = true,
};

/* Directories on the way are made; `f` must stay where it is. */
int register_text_file(const struct text_file *f)
{
	char path[128];
	struct dentry *dentry;

	for (size_t i = 1; f->path[i]; i++) {
		if (f->path[i] != '/')
			continue;
		memcpy(path, f->path, i);
		path[i] = 0;
		dentry = kernel_create(path, S_IFDIR | 0555);
		if (IS_ERR(dentry) && PTR_ERR(dentry) != -EEXIST)
			return PTR_ERR(dentry);
	}
	dentry = kernel_create(f->path, S_IFREG | f->mode);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	dentry->d_inode->i_fop = &text_file_operations;
	dentry->d_inode->i_private = (void *)f;
	return 0;
}

static int show_int(struct seq_file *m, void *data)
{
	seq_printf(m, "%d\n", *(int *)data);
	return 0;
}

static int store_int(const char *text, size_t n, void *data)
{
	char *end;
	long value = simple_strtol(text, &end, 0);

	if (end == text || (*end && *end != '\n') || value != (int)value)
		return -EINVAL;
	*(int *)data = value;
	return 0;
}

void register_sysctl_int(const char *path, int *value)
{
	struct text_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (f) {
		*f = (struct text_file){ path, 0644, show_int, store_int, value };
		register_text_file(f);
	}
}
