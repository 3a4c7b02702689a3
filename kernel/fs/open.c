/* System calls on names, descriptors and directories. Mirrors Linux fs/open.c, stat.c, readdir.c, d_path.c. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/syscalls.h>

int ksys_close(unsigned int fd);
int ksys_dup(unsigned int fd);
int ksys_dup3(unsigned int from, unsigned int to, int flags);

struct stat { unsigned long st_dev, st_ino, st_nlink; unsigned int st_mode, st_uid, st_gid, __pad0; unsigned long st_rdev; long st_size, st_blksize, st_blocks; unsigned long st_time[6]; long __unused[3]; };
struct linux_dirent64 { u64 d_ino; s64 d_off; unsigned short d_reclen; unsigned char d_type; char d_name[]; };

#define PATH_MAX 1024
#define GET_PATH(name, arg)                                                                \
	char name[PATH_MAX];                                                               \
	long name##_length = strncpy_from_user(name, (const char __user *)(arg), PATH_MAX); \
	if (name##_length < 0)                                                             \
		return name##_length

static long do_open(const char __user *user_path, int flags, umode_t mode)
{
	struct file *file;
	GET_PATH(path, user_path);

	file = filp_open(path, flags, mode);
	return IS_ERR(file) ? PTR_ERR(file) : fd_install(file);
}

SYSCALL_DEFINE(open)
{
	return do_open((const char __user *)regs->di, regs->si, regs->dx);
}

SYSCALL_DEFINE(openat)
{
	return do_open((const char __user *)regs->si, regs->dx, regs->r10);
}

SYSCALL_DEFINE(close)
{
	return ksys_close(regs->di);
}

SYSCALL_DEFINE(dup)
{
	return ksys_dup(regs->di);
}

SYSCALL_DEFINE(dup2)
{
	return ksys_dup3(regs->di, regs->si, 0);
}

SYSCALL_DEFINE(dup3)
{
	return regs->di == regs->si ? -EINVAL : ksys_dup3(regs->di, regs->si, regs->dx);
}

static long fill_stat(const struct inode *inode, void __user *to)
{
	struct stat st = { .st_dev = 1, .st_ino = inode ? inode->i_ino : 0, .st_nlink = 1, .st_blksize = PAGE_SIZE };

	st.st_mode = inode ? inode->i_mode : S_IFIFO | 0600;
	if (inode) {
		st.st_size = inode->i_size;
		st.st_rdev = inode->i_rdev;
		st.st_blocks = (inode->i_size + 511) / 512;
	}
	return copy_to_user(to, &st, sizeof(st)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(newstat)
{
	struct dentry *dentry;
	GET_PATH(path, regs->di);

	dentry = vfs_lookup(path);
	return IS_ERR(dentry) ? PTR_ERR(dentry) : fill_stat(dentry->d_inode, (void __user *)regs->si);
}

SYSCALL_DEFINE(newfstat)
{
	struct file *file = fget(regs->di);

	return file ? fill_stat(file->f_inode, (void __user *)regs->si) : -EBADF;
}

SYSCALL_DEFINE(access)
{
	struct dentry *dentry;
	GET_PATH(path, regs->di);

	dentry = vfs_lookup(path);
	return IS_ERR(dentry) ? PTR_ERR(dentry) : 0;
}

SYSCALL_DEFINE(mkdir)
{
	struct dentry *dentry;
	GET_PATH(path, regs->di);

	dentry = vfs_create(path, S_IFDIR | (regs->si & ~current->fs->umask & 0777));
	return IS_ERR(dentry) ? PTR_ERR(dentry) : 0;
}

SYSCALL_DEFINE(unlink)
{
	GET_PATH(path, regs->di);

	return vfs_unlink(path, false);
}

SYSCALL_DEFINE(rmdir)
{
	GET_PATH(path, regs->di);

	return vfs_unlink(path, true);
}

SYSCALL_DEFINE(chdir)
{
	struct dentry *dentry;
	GET_PATH(path, regs->di);

	dentry = vfs_lookup(path);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	if (!S_ISDIR(dentry->d_inode->i_mode))
		return -ENOTDIR;
	dentry->d_count++;
	dput(current->fs->pwd.dentry);
	current->fs->pwd.dentry = dentry;
	return 0;
}

SYSCALL_DEFINE(getcwd)
{
	char path[PATH_MAX];
	int n = dentry_path(current->fs->pwd.dentry, path, sizeof(path));

	if (n < 0 || (unsigned long)n + 1 > regs->si)
		return -ENAMETOOLONG;
	return copy_to_user((void __user *)regs->di, path, n + 1) ? -EFAULT : n + 1;
}

static int put_dirent(char __user **to, char __user *end, const char *name, const struct inode *inode, loff_t next)
{
	char space[sizeof(struct linux_dirent64) + 264];
	struct linux_dirent64 *d = (void *)space;
	size_t length = ALIGN(offsetof(struct linux_dirent64, d_name) + strlen(name) + 1, 8UL);

	if (*to + length > end)
		return -EINVAL;
	memset(space, 0, length);
	d->d_ino = inode->i_ino;
	d->d_off = next;
	d->d_reclen = length;
	d->d_type = inode->i_mode >> 12;
	memcpy(d->d_name, name, strlen(name));
	if (copy_to_user(*to, space, length))
		return -EFAULT;
	*to += length;
	return 0;
}

/* Positions count entries: 0 is `.`, 1 is `..`, then the children in order. */
SYSCALL_DEFINE(getdents64)
{
	struct file *file = fget(regs->di);
	char __user *start = (char __user *)regs->si, *to = start;
	struct dentry *dir, *child;
	loff_t at = 2;
	int err = 0;

	if (!file)
		return -EBADF;
	if (!file->f_inode || !S_ISDIR(file->f_inode->i_mode))
		return -ENOTDIR;
	dir = file->f_path.dentry;
	if (dir->d_inode->i_op && dir->d_inode->i_op->refresh && !file->f_pos)
		dir->d_inode->i_op->refresh(dir);
	while (file->f_pos < 2 && !err) {
		err = put_dirent(&to, start + regs->dx, file->f_pos ? ".." : ".", (file->f_pos ? dir->d_parent : dir)->d_inode, file->f_pos + 1);
		file->f_pos += !err;
	}
	list_for_each_entry(child, &dir->d_subdirs, d_child) {
		if (err)
			break;
		if (at++ < file->f_pos)
			continue;
		err = put_dirent(&to, start + regs->dx, (const char *)child->d_name.name, child->d_inode, at);
		if (!err)
			file->f_pos = at;
	}
	return to > start ? to - start : err;
}
