/* Reading and writing: the way every read() takes, and regular files in memory. Mirrors Linux fs/read_write.c and mm/filemap.c. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/syscalls.h>

#define FILE_MAX (64L << 20)

/* Room for size bytes. Files of the initramfs lie in the archive until somebody writes to them. */
int inode_reserve(struct inode *inode, size_t size)
{
	size_t capacity = max(inode->i_capacity * 2, ALIGN(size, (size_t)PAGE_SIZE));
	char *data;

	if (size > FILE_MAX)
		return -EFBIG;
	if (size <= inode->i_capacity)
		return 0;
	data = vmalloc(capacity);
	if (!data)
		return -ENOSPC;
	memcpy(data, inode->i_data, inode->i_size);
	if (inode->i_capacity)
		vfree(inode->i_data);
	inode->i_data = data;
	inode->i_capacity = capacity;
	return 0;
}

static ssize_t ramfs_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	struct inode *inode = file->f_inode;

	if (S_ISDIR(inode->i_mode))
		return -EISDIR;
	if (*pos >= inode->i_size)
		return 0;
	n = min(n, (size_t)(inode->i_size - *pos));
	if (copy_to_user(buf, inode->i_data + *pos, n))
		return -EFAULT;
	*pos += n;
	return n;
}

static ssize_t ramfs_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	struct inode *inode = file->f_inode;
	int err;

	if (!S_ISREG(inode->i_mode))
		return -EINVAL;
	if (file->f_flags & O_APPEND)
		*pos = inode->i_size;
	if (*pos > FILE_MAX || n > (size_t)FILE_MAX)
		return -EFBIG;
	err = inode_reserve(inode, *pos + n);
	if (err)
		return err;
	if (*pos > inode->i_size)
		memset(inode->i_data + inode->i_size, 0, *pos - inode->i_size);
	if (copy_from_user(inode->i_data + *pos, buf, n))
		return -EFAULT;
	*pos += n;
	inode->i_size = max(inode->i_size, *pos);
	return n;
}

ssize_t simple_read_from_buffer(char __user *to, size_t n, loff_t *pos, const void *from, size_t available)
{
	if (*pos < 0)
		return -EINVAL;
	if (*pos >= (loff_t)available)
		return 0;
	n = min(n, available - (size_t)*pos);
	if (copy_to_user(to, (const char *)from + *pos, n))
		return -EFAULT;
	*pos += n;
	return n;
}

const struct file_operations ramfs_file_operations = { .read = ramfs_read, .write = ramfs_write, .locked = true };

noinline ssize_t vfs_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	ssize_t result;
	int depth = -1;

	if ((file->f_flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (!file->f_op->read)
		return -EINVAL;
	if (!file->f_op->locked)
		depth = release_kernel_lock();
	result = file->f_op->read(file, buf, n, pos);
	reacquire_kernel_lock(depth);
	return result;
}

noinline ssize_t vfs_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	ssize_t result;
	int depth = -1;

	if (!(file->f_flags & O_ACCMODE))
		return -EBADF;
	if (!file->f_op->write)
		return -EINVAL;
	if (!file->f_op->locked)
		depth = release_kernel_lock();
	result = file->f_op->write(file, buf, n, pos);
	reacquire_kernel_lock(depth);
	return result;
}

noinline ssize_t ksys_read(unsigned int fd, char __user *buf, size_t n)
{
	struct file *file = fget(fd);

	return file ? vfs_read(file, buf, n, &file->f_pos) : -EBADF;
}

noinline ssize_t ksys_write(unsigned int fd, const char __user *buf, size_t n)
{
	struct file *file = fget(fd);

	return file ? vfs_write(file, buf, n, &file->f_pos) : -EBADF;
}

SYSCALL_DEFINE(read)
{
	return ksys_read(regs->di, (char __user *)regs->si, regs->dx);
}

SYSCALL_DEFINE(write)
{
	return ksys_write(regs->di, (const char __user *)regs->si, regs->dx);
}

SYSCALL_DEFINE(lseek)
{
	struct file *file = fget(regs->di);
	loff_t base, pos = regs->si;

	if (!file)
		return -EBADF;
	if (!file->f_inode || !(S_ISREG(file->f_inode->i_mode) || S_ISDIR(file->f_inode->i_mode) || (file->f_inode->i_mode & S_IFMT) == S_IFBLK))
		return -ESPIPE;
	base = regs->dx == 0 ? 0 : regs->dx == 1 ? file->f_pos : file->f_inode->i_size;
	if (regs->dx > 2 || pos > (loff_t)(~0UL >> 1) - base || base + pos < 0)
		return -EINVAL;
	file->f_pos = base + pos;
	return file->f_pos;
}

SYSCALL_DEFINE(ftruncate)
{
	struct file *file = fget(regs->di);
	loff_t size = regs->si;
	int err;

	if (!file || !(file->f_flags & O_ACCMODE))
		return -EBADF;
	if (!file->f_inode || file->f_inode->i_fop != &ramfs_file_operations || !S_ISREG(file->f_inode->i_mode) || size < 0)
		return -EINVAL;
	err = inode_reserve(file->f_inode, size);
	if (err)
		return err;
	if (size > file->f_inode->i_size)
		memset(file->f_inode->i_data + file->f_inode->i_size, 0, size - file->f_inode->i_size);
	file->f_inode->i_size = size;
	return 0;
}

SYSCALL_DEFINE(ioctl)
{
	struct file *file = fget(regs->di);
	int depth = -1;
	long result;

	if (!file)
		return -EBADF;
	if (!file->f_op->ioctl)
		return -ENOTTY;
	if (!file->f_op->locked)
		depth = release_kernel_lock();
	result = file->f_op->ioctl(file, regs->si, regs->dx);
	reacquire_kernel_lock(depth);
	return result;
}
EXPORT_SYMBOL(simple_read_from_buffer);
