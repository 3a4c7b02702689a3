/* debugfs: files under /sys/kernel/debug, each with operations of its own. Mirrors Linux include/linux/debugfs.h. */
#ifndef _LINUX_DEBUGFS_H
#define _LINUX_DEBUGFS_H
#include <linux/fs.h>

/* A NULL parent is the root. Both return an error pointer on failure, which is a valid parent for nothing. */
struct dentry *debugfs_create_dir(const char *name, struct dentry *parent);
struct dentry *debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data, const struct file_operations *fops);
/* One number in a file; signed values, booleans (Y and N) and what else is a number in memory. */
enum debugfs_kind { DEBUGFS_U32, DEBUGFS_INT, DEBUGFS_ULONG, DEBUGFS_BOOL };
struct dentry *debugfs_create_number(const char *name, umode_t mode, struct dentry *parent, void *value, enum debugfs_kind kind);
#define debugfs_create_u32(name, mode, parent, value) debugfs_create_number(name, mode, parent, value, DEBUGFS_U32)
#define debugfs_create_bool(name, mode, parent, value) debugfs_create_number(name, mode, parent, value, DEBUGFS_BOOL)
#define debugfs_create_ulong(name, mode, parent, value) debugfs_create_number(name, mode, parent, value, DEBUGFS_ULONG)
#define debugfs_create_atomic_t(name, mode, parent, value) debugfs_create_number(name, mode, parent, value, DEBUGFS_INT)
/* Takes an entry away with everything below it. */
void debugfs_remove(struct dentry *dentry);
#endif
