/* /sys/fs/pstore: a file for each record of earlier kernels; taking it away erases the record. Mirrors Linux fs/pstore/inode.c. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pstore.h>

static struct dentry *pstore_root;

static ssize_t pstore_file_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	return simple_read_from_buffer(buf, n, pos, file->f_inode->i_data, file->f_inode->i_size);
}
static const struct file_operations pstore_file_operations = { .read = pstore_file_read };

static void pstore_unlink(struct dentry *dentry)
{
	struct pstore_record *record = dentry->d_inode->i_private;

	psinfo->erase(record);
	kfree(record);
	dentry->d_inode->i_private = NULL;
}
static const struct inode_operations pstore_dir_inode_operations = { .unlink = pstore_unlink };

int pstore_mkfile(const struct pstore_record *record)
{
	static const char *const types[] = { "dmesg", "ftrace", "console", "pmsg" };
	struct pstore_record *copy = kmalloc(sizeof(*copy), GFP_KERNEL);
	struct dentry *dentry;
	char name[64];

	if (!copy || IS_ERR(pstore_root)) {
		kfree(copy);
		return -ENOMEM;
	}
	snprintf(name, sizeof(name), "%s-%s-%lu", types[record->type], psinfo->name, (unsigned long)record->id);
	dentry = d_add_child(pstore_root, name, S_IFREG | 0444);
	if (!dentry) {
		kfree(copy);
		return -ENOMEM;
	}
	*copy = *record;
	dentry->d_inode->i_fop = &pstore_file_operations;
	dentry->d_inode->i_private = copy;
	dentry->d_inode->i_data = record->buf;
	dentry->d_inode->i_size = record->size;
	dentry->d_inode->i_capacity = record->size; /* of its own, and freed with it */
	return 0;
}

static int init_pstore_fs(void)
{
	kernel_create("/sys/fs", S_IFDIR | 0555);
	pstore_root = kernel_create("/sys/fs/pstore", S_IFDIR | 0750);
	if (!IS_ERR(pstore_root))
		pstore_root->d_inode->i_op = &pstore_dir_inode_operations;
	return 0;
}
fs_initcall(init_pstore_fs);
