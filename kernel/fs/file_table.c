/* Open files and the tables of numbers that programs know them by. Mirrors Linux fs/file_table.c, fs/file.c, fs/open.c. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#define NR_OPEN 64
static struct kmem_cache *filp_cachep;
struct files_struct init_files = {
	.count = { 1 },
	.fdt = &init_files.fdtab,
	.fdtab = { NR_OPEN, init_files.fd_array, init_files.close_on_exec_init, init_files.open_fds_init },
};

struct file *alloc_file(const struct file_operations *fops, int flags, void *private_data)
{
	struct file *file;

	if (!filp_cachep)
		filp_cachep = kmem_cache_create("filp", sizeof(struct file), 8, 0, NULL);
	file = kmem_cache_alloc(filp_cachep, GFP_KERNEL);
	if (!file)
		return ERR_PTR(-ENOMEM);
	memset(file, 0, sizeof(*file));
	file->f_count.counter = 1;
	file->f_flags = flags;
	file->f_op = fops;
	file->private_data = private_data;
	return file;
}

struct file *file_open_dentry(struct dentry *dentry, int flags)
{
	struct inode *inode = dentry->d_inode;
	struct module *owner;
	struct file *file;
	int err;

	if (S_ISDIR(inode->i_mode) && flags & O_ACCMODE)
		return ERR_PTR(-EISDIR);
	if (!S_ISDIR(inode->i_mode) && flags & O_DIRECTORY)
		return ERR_PTR(-ENOTDIR);
	owner = __module_address((unsigned long)inode->i_fop);
	if (!try_module_get(owner))
		return ERR_PTR(-ENXIO);
	file = alloc_file(inode->i_fop, flags, NULL);
	if (IS_ERR(file)) {
		module_put(owner);
		return file;
	}
	file->f_op_owner = owner;
	file->f_inode = inode;
	file->f_path = (struct path){ init_fs.root.mnt, dentry };
	dentry->d_count++;
	err = file->f_op->open ? file->f_op->open(inode, file) : 0;
	if (err) {
		dput(dentry);
		module_put(owner);
		kmem_cache_free(filp_cachep, file);
		return ERR_PTR(err);
	}
	if (flags & O_TRUNC && flags & O_ACCMODE && S_ISREG(inode->i_mode) && inode->i_fop == &ramfs_file_operations)
		inode->i_size = 0;
	return file;
}

struct file *filp_open(const char *path, int flags, umode_t mode)
{
	struct dentry *dentry = vfs_lookup(path);

	if (flags & O_CREAT) {
		if (PTR_ERR(dentry) == -ENOENT)
			dentry = vfs_create(path, S_IFREG | (mode & ~current->fs->umask & 0777));
		else if (!IS_ERR(dentry) && flags & O_EXCL)
			return ERR_PTR(-EEXIST);
	}
	if (IS_ERR(dentry))
		return (struct file *)dentry;
	return file_open_dentry(dentry, flags);
}

void fput(struct file *file)
{
	if (--file->f_count.counter)
		return;
	if (file->f_op->release)
		file->f_op->release(file->f_inode, file);
	if (file->f_path.dentry)
		dput(file->f_path.dentry);
	module_put(file->f_op_owner);
	kmem_cache_free(filp_cachep, file);
}

/* The file behind a number, or NULL. The caller's table keeps it alive: tasks have one thread. */
struct file *fget(unsigned int fd)
{
	return fd < NR_OPEN ? current->files->fdt->fd[fd] : NULL;
}

static void set_fd(struct files_struct *files, unsigned int fd, struct file *file)
{
	files->fdt->fd[fd] = file;
	files->fdt->close_on_exec[0] &= ~(1UL << fd);
	if (file) {
		files->fdt->open_fds[0] |= 1UL << fd;
		if (file->f_flags & O_CLOEXEC)
			files->fdt->close_on_exec[0] |= 1UL << fd;
	} else
		files->fdt->open_fds[0] &= ~(1UL << fd);
}

/* Lowest free number; on failure the file is closed. */
int fd_install(struct file *file)
{
	unsigned long free = ~current->files->fdt->open_fds[0];

	if (!free) {
		fput(file);
		return -EMFILE;
	}
	set_fd(current->files, __builtin_ctzl(free), file);
	return __builtin_ctzl(free);
}

struct files_struct *dup_files(struct files_struct *old)
{
	struct files_struct *files = kzalloc(sizeof(*files), GFP_KERNEL);

	if (!files)
		return NULL;
	*files = *old;
	files->count.counter = 1;
	files->fdt = &files->fdtab;
	files->fdtab = (struct fdtable){ NR_OPEN, files->fd_array, files->close_on_exec_init, files->open_fds_init };
	for (int i = 0; i < NR_OPEN; i++)
		if (files->fd_array[i])
			files->fd_array[i]->f_count.counter++;
	return files;
}

static void close_fd(struct files_struct *files, unsigned int fd)
{
	struct file *file = files->fdt->fd[fd];
	unsigned long flags;

	raw_spin_lock_irqsave(&tasklist_lock, flags); /* ^C looks who has the terminal open */
	set_fd(files, fd, NULL);
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
	fput(file);
}

void put_files(struct files_struct *files)
{
	if (--files->count.counter)
		return;
	for (int i = 0; i < NR_OPEN; i++)
		if (files->fd_array[i])
			close_fd(files, i);
	kfree(files);
}

void close_on_exec(struct files_struct *files)
{
	for (int i = 0; i < NR_OPEN; i++)
		if (files->fdt->close_on_exec[0] >> i & 1)
			close_fd(files, i);
}

int ksys_close(unsigned int fd)
{
	if (!fget(fd))
		return -EBADF;
	close_fd(current->files, fd);
	return 0;
}

int ksys_dup3(unsigned int from, unsigned int to, int flags)
{
	struct file *file = fget(from);

	if (!file || to >= NR_OPEN)
		return -EBADF;
	if (from == to)
		return to;
	if (fget(to))
		close_fd(current->files, to);
	file->f_count.counter++;
	set_fd(current->files, to, file);
	current->files->fdt->close_on_exec[0] = (current->files->fdt->close_on_exec[0] & ~(1UL << to)) | (flags & O_CLOEXEC ? 1UL << to : 0);
	return to;
}

int ksys_dup(unsigned int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return -EBADF;
	file->f_count.counter++;
	return fd_install(file);
}
