/* Files: one tree of dentries in memory; devices and /proc hang their operations on inodes. */
#ifndef _LINUX_FS_H
#define _LINUX_FS_H
#include <linux/sched.h>

struct qstr { union { struct { u32 hash, len; }; u64 hash_len; }; const unsigned char *name; };
struct inode;
struct super_block;
struct dentry {
	unsigned int d_flags;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	unsigned char d_iname[32];
	struct super_block *d_sb;
	struct list_head d_child, d_subdirs;
	int d_count;		/* open files and working directories */
	void *d_fsdata;
};
/*
 * Of directories. refresh: brings it up to date before it is looked at (/proc and its tasks). unlink: an entry is
 * taken away; programs make none here (pstore).
 */
struct inode_operations { void (*refresh)(struct dentry *dir); void (*unlink)(struct dentry *dentry); };
struct address_space { struct inode *host; struct xarray i_pages; unsigned long nrpages; };
struct file_operations;
struct inode {
	umode_t i_mode;
	const struct inode_operations *i_op;
	struct super_block *i_sb;
	struct address_space *i_mapping;
	unsigned long i_ino;
	dev_t i_rdev;
	loff_t i_size;
	const struct file_operations *i_fop;
	void *i_private;
	char *i_data;		/* contents of a regular file */
	size_t i_capacity;
	struct list_head i_sb_list;
};
struct file_system_type { const char *name; };
struct super_block { struct list_head s_list; struct file_system_type *s_type; struct dentry *s_root; struct list_head s_inodes; };
struct vfsmount { struct dentry *mnt_root; struct super_block *mnt_sb; int mnt_flags; };
struct mount { struct mount *mnt_parent; struct dentry *mnt_mountpoint; struct vfsmount mnt; const char *mnt_devname; struct list_head mnt_list; };
struct mnt_namespace { struct mount *root; struct list_head list; };
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file {
	struct path f_path;
	struct inode *f_inode;
	const struct file_operations *f_op;
	atomic_long_t f_count;
	unsigned int f_flags;
	loff_t f_pos;
	void *private_data;
	struct module *f_op_owner;	/* held while it is open */
};
struct fs_struct { int users, umask; struct path root, pwd; };
struct fdtable { unsigned int max_fds; struct file **fd; unsigned long *close_on_exec, *open_fds; };
struct files_struct { atomic_t count; struct fdtable *fdt; struct fdtable fdtab; unsigned long close_on_exec_init[1], open_fds_init[1]; struct file *fd_array[64]; };

struct file_operations {
	int (*open)(struct inode *inode, struct file *file);
	void (*release)(struct inode *inode, struct file *file);
	ssize_t (*read)(struct file *file, char __user *buf, size_t n, loff_t *pos);
	ssize_t (*write)(struct file *file, const char __user *buf, size_t n, loff_t *pos);
	long (*ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	bool locked;	/* read, write and ioctl want the big kernel lock: a driver does without */
};

#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define S_IFIFO 0010000
#define S_ISDIR(m) (((m) & S_IFMT) == S_IFDIR)
#define S_ISCHR(m) (((m) & S_IFMT) == S_IFCHR)
#define S_ISREG(m) (((m) & S_IFMT) == S_IFREG)
#define O_ACCMODE 3
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_DIRECTORY 0200000

#define O_CLOEXEC 02000000
struct dentry *vfs_lookup(const char *path);
struct dentry *vfs_create(const char *path, umode_t mode);
struct dentry *kernel_create(const char *path, umode_t mode);
int vfs_unlink(const char *path, bool directory);
struct dentry *d_add_child(struct dentry *parent, const char *name, umode_t mode);
void d_remove(struct dentry *dentry);
void dput(struct dentry *dentry);
int dentry_path(struct dentry *dentry, char *buf, int size);
struct file *filp_open(const char *path, int flags, umode_t mode);
struct file *file_open_dentry(struct dentry *dentry, int flags);
struct file *alloc_file(const struct file_operations *fops, int flags, void *private_data);
void fput(struct file *file);
struct file *fget(unsigned int fd);
int fd_install(struct file *file);
ssize_t vfs_read(struct file *file, char *buf, size_t n, loff_t *pos);
ssize_t vfs_write(struct file *file, const char *buf, size_t n, loff_t *pos);
/* What a read() of a buffer of that length gives. */
ssize_t simple_read_from_buffer(char __user *to, size_t n, loff_t *pos, const void *from, size_t available);
int inode_reserve(struct inode *inode, size_t size);
struct files_struct *dup_files(struct files_struct *old);
void put_files(struct files_struct *files);
void close_on_exec(struct files_struct *files);
void vfs_caches_init(void);
void proc_init(void);
extern const struct file_operations ramfs_file_operations;
extern struct files_struct init_files;
extern struct fs_struct init_fs;
extern struct dentry *rootfs_root;

/* A character device: /dev/NAME appears with these operations. */
int register_chrdev_node(const char *name, dev_t dev, const struct file_operations *fops);
void unregister_chrdev_node(const char *name);

/* Text that a file shows, made anew by each read at offset 0 (Linux include/linux/seq_file.h). */
struct seq_file { char *buf; size_t size, count; void *private; };
void seq_printf(struct seq_file *m, const char *fmt, ...) __printf(2, 3);

/* A /proc or /sys file made of text: show prints it; store gets what was written, and returns 0 or an error. */
struct text_file {
	const char *path;
	umode_t mode;
	int (*show)(struct seq_file *m, void *data);
	int (*store)(const char *text, size_t n, void *data);
	void *data;
};
int register_text_file(const struct text_file *f);
/* /proc/sys entry for an int variable. */
void register_sysctl_int(const char *path, int *value);
#endif
