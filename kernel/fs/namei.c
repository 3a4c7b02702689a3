/*
 * Names: one tree of dentries in memory, walked component by component. /proc, /dev and /sys are branches of the
 * same tree. Mirrors Linux fs/namei.c, fs/dcache.c and the tree of fs/ramfs.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>

#define NAME_MAX 255
static struct kmem_cache *dentry_cache, *inode_cachep;
static struct file_system_type rootfs_type = { "rootfs" };
static struct super_block rootfs_sb = { .s_list = LIST_HEAD_INIT(rootfs_sb.s_list), .s_type = &rootfs_type, .s_inodes = LIST_HEAD_INIT(rootfs_sb.s_inodes) };
/* The only mount: its own parent. Dump tools take every vfsmount for the middle of a struct mount. */
static struct mount rootfs_mount = { .mnt_parent = &rootfs_mount, .mnt = { .mnt_sb = &rootfs_sb }, .mnt_devname = "rootfs" };
static unsigned long last_ino;
struct dentry *rootfs_root;
struct fs_struct init_fs = { .users = 1, .umask = 022 };

static struct inode *new_inode(umode_t mode)
{
	struct inode *inode = kmem_cache_alloc(inode_cachep, GFP_KERNEL);

	if (!inode)
		return NULL;
	memset(inode, 0, sizeof(*inode));
	inode->i_mode = mode;
	inode->i_sb = &rootfs_sb;
	inode->i_ino = ++last_ino;
	inode->i_fop = &ramfs_file_operations;
	list_add_tail(&inode->i_sb_list, &rootfs_sb.s_inodes);
	return inode;
}

static void free_inode(struct inode *inode)
{
	if (inode->i_capacity)
		vfree(inode->i_data);
	list_del_init(&inode->i_sb_list);
	kmem_cache_free(inode_cachep, inode);
}

/* A new entry of a directory; NULL when memory is short or the name too long. */
struct dentry *d_add_child(struct dentry *parent, const char *name, umode_t mode)
{
	size_t length = strlen(name);
	struct dentry *dentry = length <= NAME_MAX ? kmem_cache_alloc(dentry_cache, GFP_KERNEL) : NULL;
	char *copy;

	if (!dentry)
		return NULL;
	memset(dentry, 0, sizeof(*dentry));
	copy = length < sizeof(dentry->d_iname) ? (char *)dentry->d_iname : kmalloc(length + 1, GFP_KERNEL);
	dentry->d_inode = copy ? new_inode(mode) : NULL;
	if (!dentry->d_inode) {
		if (copy != (char *)dentry->d_iname)
			kfree(copy);
		kmem_cache_free(dentry_cache, dentry);
		return NULL;
	}
	memcpy(copy, name, length + 1);
	dentry->d_name.name = (unsigned char *)copy;
	dentry->d_name.len = length;
	dentry->d_parent = parent ? parent : dentry;
	dentry->d_sb = &rootfs_sb;
	dentry->d_count = 1;
	INIT_LIST_HEAD(&dentry->d_subdirs);
	INIT_LIST_HEAD(&dentry->d_child);
	if (parent) {
		parent->d_count++;
		list_add_tail(&dentry->d_child, &parent->d_subdirs);
	}
	return dentry;
}

/* The last user of an entry that has left the tree frees it, and then perhaps its parent. */
void dput(struct dentry *dentry)
{
	while (--dentry->d_count == 0) {
		struct dentry *parent = dentry->d_parent;

		free_inode(dentry->d_inode);
		if (dentry->d_name.name != dentry->d_iname)
			kfree(dentry->d_name.name);
		kmem_cache_free(dentry_cache, dentry);
		dentry = parent;
	}
}

/* Out of the tree, with everything below; open files keep what they have. */
void d_remove(struct dentry *dentry)
{
	while (!list_empty(&dentry->d_subdirs))
		d_remove(list_first_entry(&dentry->d_subdirs, struct dentry, d_child));
	list_del_init(&dentry->d_child);
	dput(dentry);
}

static struct dentry *find_child(struct dentry *dir, const char *name, size_t length)
{
	struct dentry *child;

	if (dir->d_inode->i_op && dir->d_inode->i_op->refresh)
		dir->d_inode->i_op->refresh(dir);
	list_for_each_entry(child, &dir->d_subdirs, d_child)
		if (child->d_name.len == length && !memcmp(child->d_name.name, name, length))
			return child;
	return NULL;
}

/*
 * Walks a path. Returns the entry, or an error. With `last`, stops before the last component, which is left in
 * last and its length: the directory is returned.
 */
static struct dentry *walk(const char *path, const char **last, size_t *length)
{
	struct dentry *at = *path == '/' ? rootfs_root : current->fs->pwd.dentry;

	if (!*path)
		return ERR_PTR(-ENOENT);
	for (;;) {
		const char *end;

		while (*path == '/')
			path++;
		if (!*path)
			return last ? ERR_PTR(-EEXIST) : at;
		if (!S_ISDIR(at->d_inode->i_mode))
			return ERR_PTR(-ENOTDIR);
		for (end = path; *end && *end != '/'; end++)
			;
		if (end - path > NAME_MAX)
			return ERR_PTR(-ENAMETOOLONG);
		if (last && !*end) {
			*last = path;
			*length = end - path;
			return at;
		}
		if (end - path == 2 && path[0] == '.' && path[1] == '.')
			at = at->d_parent;
		else if (end - path != 1 || path[0] != '.')
			at = find_child(at, path, end - path);
		if (!at)
			return ERR_PTR(-ENOENT);
		path = end;
	}
}

struct dentry *vfs_lookup(const char *path)
{
	return walk(path, NULL, NULL);
}

static struct dentry *create(const char *path, umode_t mode, bool kernel)
{
	struct dentry *dir, *child;
	const char *last;
	size_t length;

	dir = walk(path, &last, &length);
	if (IS_ERR(dir))
		return dir;
	if (find_child(dir, last, length))
		return ERR_PTR(-EEXIST);
	if (!kernel && !(dir->d_inode->i_mode & 0222))
		return ERR_PTR(-EACCES);
	if (!kernel && dir->d_inode->i_op && dir->d_inode->i_op->unlink)
		return ERR_PTR(-EPERM);
	child = d_add_child(dir, last, mode);
	return child ? child : ERR_PTR(-ENOMEM);
}

/* Makes an entry that is not there yet. */
struct dentry *vfs_create(const char *path, umode_t mode)
{
	return create(path, mode, false);
}

/* The same in directories that programs can't change: /proc and /sys. */
struct dentry *kernel_create(const char *path, umode_t mode)
{
	return create(path, mode, true);
}

int vfs_unlink(const char *path, bool directory)
{
	struct dentry *dentry = vfs_lookup(path);

	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	if (dentry == rootfs_root)
		return -EBUSY;
	if (!(dentry->d_parent->d_inode->i_mode & 0222))
		return -EACCES;
	if (S_ISDIR(dentry->d_inode->i_mode) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	if (!list_empty(&dentry->d_subdirs))
		return -ENOTEMPTY;
	if (dentry->d_parent->d_inode->i_op && dentry->d_parent->d_inode->i_op->unlink)
		dentry->d_parent->d_inode->i_op->unlink(dentry);
	d_remove(dentry);
	return 0;
}

/* Absolute path of an entry; its length, or -ENAMETOOLONG. */
int dentry_path(struct dentry *dentry, char *buf, int size)
{
	int at = size - 1;

	buf[at] = 0;
	if (dentry == rootfs_root && at > 0)
		buf[--at] = '/';
	for (; dentry->d_parent != dentry; dentry = dentry->d_parent) {
		at -= dentry->d_name.len + 1;
		if (at < 0)
			return -ENAMETOOLONG;
		buf[at] = '/';
		memcpy(buf + at + 1, dentry->d_name.name, dentry->d_name.len);
	}
	memmove(buf, buf + at, size - at);
	return size - at - 1;
}

/* A character device: /dev/NAME appears with these operations. */
int register_chrdev_node(const char *name, dev_t dev, const struct file_operations *fops)
{
	char path[64];
	struct dentry *node;

	snprintf(path, sizeof(path), "/dev/%s", name);
	node = vfs_create(path, S_IFCHR | 0600);
	if (PTR_ERR(node) == -EEXIST) /* the initramfs may bring /dev/console along */
		node = vfs_lookup(path);
	if (IS_ERR(node))
		return PTR_ERR(node);
	node->d_inode->i_rdev = dev;
	node->d_inode->i_fop = fops;
	return 0;
}

void unregister_chrdev_node(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", name);
	vfs_unlink(path, false);
}

void vfs_caches_init(void)
{
	static const struct { const char *name; umode_t mode; } dirs[] = { { "/dev", 0755 }, { "/proc", 0555 }, { "/sys", 0555 }, { "/tmp", 0777 }, { "/root", 0700 } };

	dentry_cache = kmem_cache_create("dentry", sizeof(struct dentry), 8, 0, NULL);
	inode_cachep = kmem_cache_create("inode_cache", sizeof(struct inode), 8, 0, NULL);
	rootfs_root = d_add_child(NULL, "/", S_IFDIR | 0755);
	rootfs_sb.s_root = rootfs_mount.mnt.mnt_root = rootfs_root;
	rootfs_mount.mnt_mountpoint = rootfs_root;
	init_fs.root = init_fs.pwd = (struct path){ &rootfs_mount.mnt, rootfs_root };
	rootfs_root->d_count += 2;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		vfs_create(dirs[i].name, S_IFDIR | dirs[i].mode);
}
EXPORT_SYMBOL(register_chrdev_node);
EXPORT_SYMBOL(unregister_chrdev_node);
