/* Making tasks, ending tasks, their numbers and signals. Mirrors Linux kernel/fork.c, exit.c, pid.c, kthread.c. */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#define FORK_FRAME (sizeof(struct inactive_task_frame))
void ret_from_fork(void);

int nr_threads;
unsigned long total_forks;
struct pid_namespace init_pid_ns;
static struct cred init_cred;
static struct mnt_namespace init_mnt_ns;
struct nsproxy init_nsproxy = { .uts_ns = &init_uts_ns, .mnt_ns = &init_mnt_ns, .pid_ns_for_children = &init_pid_ns };
static struct signal_struct init_signals = { .nr_threads = 1, .thread_head = LIST_HEAD_INIT(init_signals.thread_head), .shared_pending = { LIST_HEAD_INIT(init_signals.shared_pending.list), { { 0 } } } };
static struct sighand_struct init_sighand;
static struct pid init_struct_pid;
struct task_struct init_task = {
	.stack = &init_stack,
	.usage = { { 2 } },
	.flags = PF_KTHREAD | PF_IDLE,
	.on_cpu = 1,
	.prio = 120, .static_prio = 120, .normal_prio = 120,
	.nr_cpus_allowed = 1,
	.tasks = LIST_HEAD_INIT(init_task.tasks),
	.real_parent = &init_task, .parent = &init_task, .group_leader = &init_task,
	.children = LIST_HEAD_INIT(init_task.children),
	.sibling = LIST_HEAD_INIT(init_task.sibling),
	.thread_group = LIST_HEAD_INIT(init_task.thread_group),
	.thread_node = LIST_HEAD_INIT(init_task.thread_node),
	.run_list = LIST_HEAD_INIT(init_task.run_list),
	.active_mm = &init_mm,
	.cred = &init_cred, .real_cred = &init_cred,
	.lock_depth = -1,
	.kasan_depth = 1, /* until there is a shadow */
	.cpus_mask = { { 1 } },
	.comm = "swapper/0",
	.fs = &init_fs, .files = &init_files, .nsproxy = &init_nsproxy,
	.signal = &init_signals, .sighand = &init_sighand,
	.thread_pid = &init_struct_pid,
	.pending = { LIST_HEAD_INIT(init_task.pending.list), { { 0 } } },
};
/* Described for dump tools. */
enum pid_type pid_types_described = PIDTYPE_PID;
struct inactive_task_frame *inactive_frame_described;
struct task_rss_stat *rss_stat_described;
struct user_regs_struct { unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss, fs_base, gs_base, ds, es, fs, gs; };
struct user_regs_struct *user_regs_described;

static struct xa_node *new_node(struct xa_node *parent, int shift, int offset)
{
	struct xa_node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return NULL;
	node->shift = shift;
	node->offset = offset;
	node->parent = parent;
	node->array = &init_pid_ns.idr.idr_rt;
	INIT_LIST_HEAD(&node->private_list);
	return node;
}

#define MAX_PID 4096
/* Slot of a pid number in the two-level xarray that dump tools walk; NULL when there is none, or no memory for it. */
static void **pid_slot(unsigned int nr, bool create)
{
	struct xarray *xa = &init_pid_ns.idr.idr_rt;
	struct xa_node *root, *leaf;

	if (!xa->xa_head) {
		root = new_node(NULL, 6, 0);
		if (!root)
			return NULL;
		xa->xa_head = (void *)((unsigned long)root | 2);
	}
	root = (void *)((unsigned long)xa->xa_head & ~3UL);
	if (!root->slots[nr >> 6]) {
		leaf = create ? new_node(root, 0, nr >> 6) : NULL;
		if (!leaf)
			return NULL;
		root->slots[nr >> 6] = (void *)((unsigned long)leaf | 2);
		root->count++;
	}
	leaf = (void *)((unsigned long)root->slots[nr >> 6] & ~3UL);
	return &leaf->slots[nr & 63];
}

void pid_init(void)
{
	init_struct_pid.count.refs.counter = 1;
	init_struct_pid.numbers[0].ns = &init_pid_ns;
	INIT_LIST_HEAD(&init_mnt_ns.list);
}

int attach_pid(struct task_struct *t)
{
	static unsigned int last;
	struct pid *pid = kzalloc(sizeof(*pid), GFP_KERNEL);
	void **slot;

	if (!pid)
		return -ENOMEM;
	for (unsigned int i = 0; i < MAX_PID; i++) {
		last = last + 1 < MAX_PID ? last + 1 : 2;
		slot = pid_slot(last, true);
		if (!slot) {
			kfree(pid);
			return -ENOMEM;
		}
		if (*slot)
			continue;
		*slot = pid;
		pid->count.refs.counter = 1;
		pid->numbers[0].nr = last;
		pid->numbers[0].ns = &init_pid_ns;
		t->pid = t->tgid = last;
		t->thread_pid = pid;
		for (int type = 0; type < PIDTYPE_MAX; type++)
			hlist_add_head(&t->pid_links[type], &pid->tasks[type]);
		return 0;
	}
	kfree(pid);
	return -EAGAIN;
}

void detach_pid(struct task_struct *t)
{
	for (int type = 0; type < PIDTYPE_MAX; type++)
		hlist_del(&t->pid_links[type]);
	*pid_slot(t->pid, false) = NULL;
	kfree(t->thread_pid);
}

struct task_struct *find_task_by_vpid(pid_t nr)
{
	void **slot = nr > 0 && nr < MAX_PID ? pid_slot(nr, false) : NULL;
	struct pid *pid = slot ? *slot : NULL;

	return pid && pid->tasks[PIDTYPE_PID].first ? container_of(pid->tasks[PIDTYPE_PID].first, struct task_struct, pid_links[PIDTYPE_PID]) : NULL;
}

/* Each task's own, with a zero byte that ends strings; not secret, since the same boot must give the same bytes. */
static unsigned long stack_canary_of(const struct task_struct *t)
{
	static unsigned long forks;
	unsigned long x = (unsigned long)t->stack + ++forks * 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return (x ^ x >> 31) & ~0xffUL;
}

/*
 * Of the list of all tasks, who is whose child, and what a task has open and mapped. Changed with this lock and the
 * big kernel lock: who holds either may look.
 */
DEFINE_RAW_SPINLOCK(tasklist_lock);

/* Who has stopped with the lock must not keep a dying kernel from saying what it knows. */
bool tasklist_lock_forgiving(unsigned long *flags)
{
	*flags = local_irq_save();
	while (!raw_spin_trylock(&tasklist_lock)) {
		if (oops_in_progress)
			return false;
		cpu_relax();
	}
	return true;
}

void tasklist_unlock(bool locked, unsigned long flags)
{
	if (locked)
		raw_spin_unlock(&tasklist_lock);
	local_irq_restore(flags);
}

/* A new task: a copy of the caller's program (regs), a kernel thread (fn), or a CPU's idle task. */
noinline struct task_struct *copy_process(struct pt_regs *regs, int (*fn)(void *), void *arg, bool idle)
{
	struct task_struct *t = kzalloc(sizeof(*t), GFP_KERNEL);
	struct inactive_task_frame *frame;
	unsigned long irqflags;
	long err = -ENOMEM;

	if (!t)
		return ERR_PTR(err);
	*t = *current;
	t->stack = kasan_reset_tag(vmalloc(THREAD_SIZE));
	if (!t->stack)
		goto bad_fork_free;
	*(unsigned long *)t->stack = STACK_END_MAGIC;
	t->stack_canary = stack_canary_of(t);
	t->files = dup_files(current->files);
	if (!t->files)
		goto bad_fork_cleanup_stack;
	t->fs = kmalloc(sizeof(*t->fs), GFP_KERNEL);
	if (!t->fs)
		goto bad_fork_cleanup_files;
	*t->fs = *current->fs;
	t->fs->pwd.dentry->d_count++;
	t->sighand = kzalloc(sizeof(*t->sighand), GFP_KERNEL);
	if (!t->sighand)
		goto bad_fork_cleanup_fs;
	*t->sighand = *current->sighand;
	t->signal = kzalloc(sizeof(*t->signal), GFP_KERNEL);
	if (!t->signal)
		goto bad_fork_cleanup_sighand;
	t->mm = NULL;
	if (regs) {
		t->mm = dup_mm(current->mm);
		if (!t->mm)
			goto bad_fork_cleanup_signal;
		*task_pt_regs(t) = *regs;
		task_pt_regs(t)->ax = 0;
	}
	t->active_mm = t->mm ? t->mm : &init_mm;
	t->flags = (t->flags & ~(PF_KTHREAD | PF_IDLE | PF_WQ_WORKER | PF_NO_SETAFFINITY)) | (regs ? 0 : PF_KTHREAD);
	t->make_it_fail = current->make_it_fail;
	t->lock_depth = -1;
	t->rt_priority = 0;
	t->nvcsw = t->nivcsw = t->last_switch_count = t->last_switch_time = 0;
	if (!regs)
		t->cpus_mask.bits[0] = ~0UL;
	t->nr_cpus_allowed = __builtin_popcountl(t->cpus_mask.bits[0] & __cpu_online_mask.bits[0]);
	t->thread_info.flags = 0;
	t->on_cpu = t->on_rq = 0;
	t->exit_state = t->exit_code = 0;
	t->exit_signal = SIGCHLD;
	t->utime = t->stime = 0;
	t->start_time = sched_clock();
	t->pending.signal.sig[0] = 0;
	INIT_LIST_HEAD(&t->pending.list);
	INIT_LIST_HEAD(&t->run_list);
	INIT_LIST_HEAD(&t->children);
	INIT_LIST_HEAD(&t->thread_group);
	t->group_leader = t;
	t->real_parent = t->parent = current;
	t->signal->nr_threads = 1;
	INIT_LIST_HEAD(&t->signal->thread_head);
	INIT_LIST_HEAD(&t->signal->shared_pending.list);
	list_add_tail(&t->thread_node, &t->signal->thread_head);
	/* What __switch_to_asm pops; ret_from_fork finds fn in rbx and arg in r12. */
	frame = (struct inactive_task_frame *)((char *)task_pt_regs(t) - FORK_FRAME);
	memset(frame, 0, FORK_FRAME);
	frame->bx = (unsigned long)fn;
	frame->r12 = (unsigned long)arg;
	frame->ret_addr = (unsigned long)ret_from_fork;
	t->thread.sp = (unsigned long)frame;
	t->__state = TASK_UNINTERRUPTIBLE; /* until wake_up_new_task() */
	if (idle) {
		t->pid = t->tgid = 0;
		t->__state = TASK_RUNNING;
		return t;
	}
	raw_spin_lock_irqsave(&tasklist_lock, irqflags);
	err = attach_pid(t);
	if (err) {
		raw_spin_unlock_irqrestore(&tasklist_lock, irqflags);
		goto bad_fork_cleanup_mm;
	}
	list_add_tail(&t->sibling, &current->children);
	list_add_tail(&t->tasks, &init_task.tasks);
	nr_threads++;
	total_forks++;
	raw_spin_unlock_irqrestore(&tasklist_lock, irqflags);
	return t;
bad_fork_cleanup_mm:
	if (t->mm)
		mmput(t->mm);
bad_fork_cleanup_signal:
	kfree(t->signal);
bad_fork_cleanup_sighand:
	kfree(t->sighand);
bad_fork_cleanup_fs:
	dput(t->fs->pwd.dentry);
	kfree(t->fs);
bad_fork_cleanup_files:
	put_files(t->files);
bad_fork_cleanup_stack:
	vfree(t->stack);
bad_fork_free:
	kfree(t);
	return ERR_PTR(err);
}

noinline pid_t kernel_clone(struct pt_regs *regs, int (*fn)(void *), void *arg)
{
	struct task_struct *t = copy_process(regs, fn, arg, false);

	if (IS_ERR(t))
		return PTR_ERR(t);
	wake_up_new_task(t);
	return t->pid;
}

/* The task of a CPU that has nothing to do: on no list, with number 0. */
struct task_struct *fork_idle(int cpu)
{
	struct task_struct *t = copy_process(NULL, NULL, NULL, true);

	if (!IS_ERR(t)) {
		snprintf(t->comm, sizeof(t->comm), "swapper/%d", cpu);
		t->real_parent = t->parent = &init_task;
		INIT_LIST_HEAD(&t->sibling);
		INIT_LIST_HEAD(&t->tasks);
	}
	return t;
}

static DECLARE_WAIT_QUEUE_HEAD(child_wait);

/* Children of a dying task go to init. */
static void forget_original_parent(void)
{
	struct task_struct *child, *next, *reaper = find_task_by_vpid(1);
	unsigned long flags;

	raw_spin_lock_irqsave(&tasklist_lock, flags);
	list_for_each_entry_safe(child, next, &current->children, sibling) {
		list_del_init(&child->sibling);
		child->parent = child->real_parent = reaper;
		list_add_tail(&child->sibling, &reaper->children);
	}
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
}

noinline void do_exit(long code)
{
	struct task_struct *t = current;
	struct mm_struct *mm = t->mm;
	struct files_struct *files;
	unsigned long flags;

	WARN_ON(irqs_disabled());
	if (unlikely(t->pid == 1))
		panic("Attempted to kill init! exitcode=0x%08x\n", (int)code);
	if (t->lock_depth < 0)
		lock_kernel();
	t->flags |= PF_EXITING;
	t->exit_code = code;
	raw_spin_lock_irqsave(&tasklist_lock, flags);
	files = t->files;
	t->files = NULL;
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
	put_files(files);
	dput(t->fs->pwd.dentry);
	if (mm) {
		raw_spin_lock_irqsave(&tasklist_lock, flags);
		t->mm = NULL;
		raw_spin_unlock_irqrestore(&tasklist_lock, flags);
		t->active_mm = &init_mm;
		write_cr3(__pa(init_top_pgt));
		mmput(mm);
	}
	forget_original_parent();
	/* Nobody waits for a kernel thread: it is released as soon as it has left its stack. */
	t->exit_state = t->flags & PF_KTHREAD && t->real_parent->pid == 2 ? EXIT_DEAD : EXIT_ZOMBIE;
	wake_up(&child_wait);
	do_task_dead();
}

/* An oops ends here for the task that caused it. */
void make_task_dead(int signr)
{
	struct task_struct *t = current;

	int limit = READ_ONCE(oops_limit);

	if (in_interrupt())
		panic("Aiee, killing interrupt handler!");
	if (!t->pid)
		panic("Attempted to kill the idle task!");
	if (irqs_disabled()) {
		pr_info("note: %s[%d] exited with irqs disabled\n", t->comm, t->pid);
		local_irq_enable();
	}
	if (unlikely(in_atomic())) {
		pr_info("note: %s[%d] exited with preempt_count %d\n", t->comm, t->pid, preempt_count());
		preempt_count_set(0);
	}
	/* Too many oopses may each have left a lock or a count behind. */
	if (__atomic_add_fetch(&oops_count.counter, 1, __ATOMIC_SEQ_CST) >= limit && limit)
		panic("Oopsed too often (kernel.oops_limit is %d)", limit);
	if (unlikely(t->flags & PF_EXITING)) { /* it died of dying: never touched again */
		pr_alert("Fixing recursive fault but reboot is needed!\n");
		for (;;) {
			__set_current_state(TASK_UNINTERRUPTIBLE);
			schedule();
		}
	}
	do_exit(signr);
}

void release_task(struct task_struct *t)
{
	unsigned long flags;

	while (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE)) /* its last steps, on another CPU */
		cpu_relax();
	raw_spin_lock_irqsave(&tasklist_lock, flags);
	detach_pid(t);
	list_del_init(&t->sibling);
	list_del_init(&t->tasks);
	nr_threads--;
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
	kfree(t->signal);
	kfree(t->sighand);
	kfree(t->fs);
	vfree(t->stack);
	kfree(t);
}

/* Reaps one child: its number, 0 when all still run, or -ECHILD. */
static long wait_consider_children(pid_t pid, int *status)
{
	struct task_struct *child;
	bool any = false;

	list_for_each_entry(child, &current->children, sibling) {
		if (pid > 0 && child->pid != pid)
			continue;
		any = true;
		if (child->exit_state == EXIT_ZOMBIE) {
			long result = child->pid;

			*status = child->exit_code;
			release_task(child);
			return result;
		}
	}
	return any ? 0 : -ECHILD;
}

noinline long kernel_wait4(pid_t pid, int *status, int options)
{
	long result = 0;
	int err = wait_event_interruptible(&child_wait, (result = wait_consider_children(pid, status)) || options & 1);

	return err ? err : result;
}

bool signal_pending(struct task_struct *t)
{
	return t->pending.signal.sig[0] & ~t->blocked.sig[0];
}

void send_sig(int sig, struct task_struct *t)
{
	void (*handler)(int) = t->sighand->action[sig - 1].sa.sa_handler;

	if (handler == (void *)1 || (!handler && (sig == SIGCHLD || (t->pid == 1 && sig != SIGSEGV))))
		return;
	__atomic_fetch_or(&t->pending.signal.sig[0], 1UL << (sig - 1), __ATOMIC_SEQ_CST);
	signal_wake_up(t);
}

bool unhandled_signal(struct task_struct *t, int sig)
{
	return t->pid == 1 || (unsigned long)t->sighand->action[sig - 1].sa.sa_handler <= 1;
}

/* A signal that can't be ignored: the program's own fault. */
void force_sig(int sig)
{
	current->sighand->action[sig - 1].sa.sa_handler = NULL;
	current->blocked.sig[0] &= ~(1UL << (sig - 1));
	current->pending.signal.sig[0] |= 1UL << (sig - 1);
}

/* Only default actions exist: a signal that is not ignored ends the program. */
void do_signal(struct pt_regs *regs)
{
	unsigned long pending = current->pending.signal.sig[0] & ~current->blocked.sig[0];

	if (pending) {
		local_irq_enable();
		do_exit(__builtin_ctzl(pending) + 1);
	}
}
