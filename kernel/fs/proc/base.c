/* /proc/PID: a directory for each task, brought up to date whenever /proc is looked at. Mirrors Linux fs/proc/base.c and array.c. */
#include <linux/fs.h>
#include <linux/mm.h>

static struct task_struct *task_of(void *data)
{
	return find_task_by_vpid((long)data);
}

static char state_letter(const struct task_struct *t)
{
	if (t->exit_state)
		return 'Z';
	return t->__state == TASK_RUNNING ? 'R' : t->__state == TASK_INTERRUPTIBLE ? 'S' : 'D';
}

static int show_stat(struct seq_file *m, void *data)
{
	struct task_struct *t = task_of(data);

	if (!t)
		return -ESRCH;
	seq_printf(m, "%d (%s) %c %d 0 0 0 -1 %u 0 0 0 0 %lu %lu 0 0 20 0 1 0 %lu %lu %ld\n", t->pid, t->comm, state_letter(t),
		   t->parent->pid, t->flags, (unsigned long)(t->utime / 10), (unsigned long)(t->stime / 10),
		   (unsigned long)(t->start_time / 10000000), t->mm ? t->mm->total_vm << PAGE_SHIFT : 0,
		   t->mm ? (long)t->mm->rss_stat.count[MM_ANONPAGES].counter : 0);
	return 0;
}

static int show_status(struct seq_file *m, void *data)
{
	struct task_struct *t = task_of(data);

	if (!t)
		return -ESRCH;
	seq_printf(m, "Name:\t%s\nState:\t%c\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n", t->comm,
		   state_letter(t), t->tgid, t->pid, t->parent->pid);
	if (t->mm)
		seq_printf(m, "VmSize:\t%8lu kB\nVmRSS:\t%8ld kB\n", t->mm->total_vm << 2, (long)t->mm->rss_stat.count[MM_ANONPAGES].counter << 2);
	seq_printf(m, "Threads:\t1\nSigPnd:\t%016lx\n", t->pending.signal.sig[0]);
	return 0;
}

static int show_comm(struct seq_file *m, void *data)
{
	struct task_struct *t = task_of(data);

	if (!t)
		return -ESRCH;
	seq_printf(m, "%s\n", t->comm);
	return 0;
}

static int show_maps(struct seq_file *m, void *data)
{
	struct task_struct *t = task_of(data);
	char path[256];

	if (!t)
		return -ESRCH;
	for (struct vm_area_struct *v = t->mm ? t->mm->mmap : NULL; v; v = v->vm_next) {
		if (!v->vm_file || dentry_path(v->vm_file->f_path.dentry, path, sizeof(path)) < 0)
			path[0] = 0;
		seq_printf(m, "%08lx-%08lx %c%c%cp %08lx 00:01 %-8lu %s\n", v->vm_start, v->vm_end, v->vm_flags & VM_READ ? 'r' : '-',
			   v->vm_flags & VM_WRITE ? 'w' : '-', v->vm_flags & VM_EXEC ? 'x' : '-', v->vm_pgoff << PAGE_SHIFT,
			   v->vm_file ? v->vm_file->f_inode->i_ino : 0, v->vm_flags & VM_GROWSDOWN ? "[stack]" : path);
	}
	return 0;
}

static int show_make_it_fail(struct seq_file *m, void *data)
{
	struct task_struct *t = task_of(data);

	if (!t)
		return -ESRCH;
	seq_printf(m, "%d\n", t->make_it_fail);
	return 0;
}

static int show_fail_nth(struct seq_file *m, void *data)
{
	struct task_struct *t = task_of(data);

	if (!t)
		return -ESRCH;
	seq_printf(m, "%u\n", t->fail_nth);
	return 0;
}

static int store_make_it_fail(const char *text, size_t n, void *data)
{
	struct task_struct *t = task_of(data);
	char *end;
	long value = simple_strtol(text, &end, 0);

	if (!t)
		return -ESRCH;
	if (end == text || (*end && *end != '\n') || value < 0 || value > 1)
		return -EINVAL;
	t->make_it_fail = value;
	return 0;
}

static int store_fail_nth(const char *text, size_t n, void *data)
{
	struct task_struct *t = task_of(data);
	char *end;
	long value = simple_strtol(text, &end, 0);

	if (!t)
		return -ESRCH;
	if (end == text || (*end && *end != '\n') || value < 0 || value > 0x7fffffff)
		return -EINVAL;
	t->fail_nth = value;
	return 0;
}

static const struct { const char *name; int (*show)(struct seq_file *m, void *data); int (*store)(const char *text, size_t n, void *data); } pid_entries[] = {
	{ "stat", show_stat, NULL }, { "status", show_status, NULL }, { "comm", show_comm, NULL }, { "maps", show_maps, NULL },
	{ "make-it-fail", show_make_it_fail, store_make_it_fail }, { "fail-nth", show_fail_nth, store_fail_nth },
};

/* The files of one task; the descriptions live as long as the directory, in one allocation. */
static void add_task(struct dentry *proc, struct task_struct *t)
{
	struct text_file *files = kzalloc(sizeof(*files) * ARRAY_SIZE(pid_entries), GFP_KERNEL);
	char (*paths)[32] = kmalloc(sizeof(*paths) * ARRAY_SIZE(pid_entries), GFP_KERNEL);
	struct dentry *dir;
	char path[16];

	snprintf(path, sizeof(path), "/proc/%d", t->pid);
	dir = files && paths ? d_add_child(proc, path + 6, S_IFDIR | 0555) : NULL;
	if (!dir) {
		kfree(files);
		kfree(paths);
		return;
	}
	dir->d_inode->i_private = files;
	for (size_t i = 0; i < ARRAY_SIZE(pid_entries); i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", path, pid_entries[i].name);
		files[i] = (struct text_file){ paths[i], pid_entries[i].store ? 0644 : 0444, pid_entries[i].show, pid_entries[i].store, (void *)(long)t->pid };
		register_text_file(&files[i]);
	}
}

static bool in_use(struct dentry *dir)
{
	struct dentry *child;

	list_for_each_entry(child, &dir->d_subdirs, d_child)
		if (child->d_count > 1)
			return true;
	return dir->d_count > 1 + (int)ARRAY_SIZE(pid_entries);
}

static void proc_refresh(struct dentry *proc)
{
	static bool busy; /* adding files looks names up in /proc again */
	struct task_struct *t;
	struct dentry *dir, *next;

	if (busy)
		return;
	busy = true;
	for_each_process(t) {
		bool found = false;

		list_for_each_entry(dir, &proc->d_subdirs, d_child)
			found |= simple_strtol((const char *)dir->d_name.name, NULL, 10) == t->pid;
		if (!found)
			add_task(proc, t);
	}
	list_for_each_entry_safe(dir, next, &proc->d_subdirs, d_child) {
		long pid = simple_strtol((const char *)dir->d_name.name, NULL, 10);

		if (pid && !find_task_by_vpid(pid) && !in_use(dir)) {
			struct text_file *files = dir->d_inode->i_private;

			kfree(files[0].path);
			kfree(files);
			d_remove(dir);
		}
	}
	busy = false;
}

static const struct inode_operations proc_dir_operations = { .refresh = proc_refresh };

void proc_init(void)
{
	vfs_lookup("/proc")->d_inode->i_op = &proc_dir_operations;
}
