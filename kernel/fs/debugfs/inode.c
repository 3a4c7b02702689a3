/* The tree of /sys/kernel/debug. Mirrors Linux fs/debugfs/inode.c. */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>

extern const struct file_operations debugfs_full_proxy_file_operations;
static struct dentry *debugfs_root;

static struct dentry *make(const char *name, umode_t mode, struct dentry *parent)
{
	struct dentry *dentry;

	if (IS_ERR(parent))
		return parent;
	dentry = d_add_child(parent ? parent : debugfs_root, name, mode);
	return dentry ? dentry : ERR_PTR(-ENOMEM);
}

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	return make(name, S_IFDIR | 0555, parent);
}

struct dentry *debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data, const struct file_operations *fops)
{
	struct dentry *dentry = make(name, S_IFREG | mode, parent);

	if (IS_ERR(dentry))
		return dentry;
	dentry->d_inode->i_fop = &debugfs_full_proxy_file_operations;
	dentry->d_inode->i_private = data;
	dentry->d_fsdata = (void *)fops;
	return dentry;
}

void debugfs_remove(struct dentry *dentry)
{
	struct dentry *child, *next;

	if (!dentry || IS_ERR(dentry))
		return;
	list_for_each_entry_safe(child, next, &dentry->d_subdirs, d_child)
		debugfs_remove(child);
	dentry->d_fsdata = NULL; /* whoever still has it open finds nobody there */
	d_remove(dentry);
}

static int debugfs_init(void)
{
	struct dentry *dir = kernel_create("/sys/kernel", S_IFDIR | 0555);

	if (IS_ERR(dir) && PTR_ERR(dir) != -EEXIST)
		return PTR_ERR(dir);
	debugfs_root = kernel_create("/sys/kernel/debug", S_IFDIR | 0555);
	return IS_ERR(debugfs_root) ? PTR_ERR(debugfs_root) : 0;
}
core_initcall(debugfs_init);
EXPORT_SYMBOL(debugfs_create_dir);
EXPORT_SYMBOL(debugfs_create_file);
EXPORT_SYMBOL(debugfs_create_number);
EXPORT_SYMBOL(debugfs_remove);
