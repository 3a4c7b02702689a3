/* Tasks: Linux 5.15's members of everything that dump tools look at. */
#ifndef _LINUX_SCHED_H
#define _LINUX_SCHED_H
#include <linux/kernel.h>
#include <linux/mm_types.h>
#include <linux/percpu.h>
#include <linux/preempt.h>

#define XA_CHUNK_SIZE 64
struct xarray { spinlock_t xa_lock; gfp_t xa_flags; void *xa_head; };
struct xa_node { u8 shift, offset, count, nr_values; struct xa_node *parent; struct xarray *array; struct list_head private_list; void *slots[XA_CHUNK_SIZE]; unsigned long marks[3][1]; };
struct idr { struct xarray idr_rt; unsigned int idr_base, idr_next; };
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };
struct pid_namespace;
struct upid { int nr; struct pid_namespace *ns; };
struct pid { refcount_t count; unsigned int level; spinlock_t lock; struct hlist_head tasks[PIDTYPE_MAX]; struct hlist_head inodes; struct upid numbers[1]; };
struct pid_namespace { struct idr idr; struct callback_head rcu; unsigned int pid_allocated; struct task_struct *child_reaper; struct kmem_cache *pid_cachep; unsigned int level; struct pid_namespace *parent; };
extern struct pid_namespace init_pid_ns;

struct thread_info { unsigned long flags, syscall_work; u32 status; };
struct sched_info { unsigned long pcount; unsigned long long run_delay, last_arrival, last_queued; };
struct load_weight { unsigned long weight; u32 inv_weight; };
struct cfs_rq;
struct sched_entity { struct load_weight load; struct rb_node run_node; struct list_head group_node; unsigned int on_rq; u64 exec_start, sum_exec_runtime, vruntime; struct cfs_rq *cfs_rq, *my_q; };
struct sched_rt_entity { struct list_head run_list; };
typedef struct { unsigned long sig[1]; } sigset_t;
struct sigpending { struct list_head list; sigset_t signal; };
struct sigaction { void (*sa_handler)(int); unsigned long sa_flags; void (*sa_restorer)(void); sigset_t sa_mask; };
struct k_sigaction { struct sigaction sa; };
struct sighand_struct { spinlock_t siglock; refcount_t count; struct k_sigaction action[64]; };
struct rlimit { unsigned long rlim_cur, rlim_max; };
struct signal_struct { refcount_t sigcnt; atomic_t live; int nr_threads; struct list_head thread_head; struct sigpending shared_pending; struct pid *pids[PIDTYPE_MAX]; struct rlimit rlim[16]; };
struct cred { atomic_t usage; unsigned int uid, gid; };
struct mnt_namespace;
struct net;
struct nsproxy { atomic_t count; struct uts_namespace *uts_ns; struct mnt_namespace *mnt_ns; struct pid_namespace *pid_ns_for_children; struct net *net_ns; };
struct thread_struct { unsigned long sp; unsigned short es, ds, fsindex, gsindex; unsigned long fsbase, gsbase, cr2, trap_nr, error_code; };
struct inactive_task_frame { unsigned long r15, r14, r13, r12, bx, bp, ret_addr; };
struct files_struct;
struct fs_struct;
struct work_struct;

#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define EXIT_DEAD 0x10
#define EXIT_ZOMBIE 0x20
#define TASK_DEAD 0x80
#define PF_IDLE 2
#define PF_EXITING 4
#define PF_WQ_WORKER 0x20
#define PF_NO_SETAFFINITY 0x4000000
#define PF_KTHREAD 0x200000
#define TIF_NEED_RESCHED 8
#define SIGHUP 1
#define SIGINT 2
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGPIPE 13
#define SIGTERM 15
#define SIGCHLD 17

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	void *stack;
	refcount_t usage;
	unsigned int flags, ptrace;
	int on_cpu;
	unsigned int cpu;
	int on_rq, prio, static_prio, normal_prio;
	unsigned int rt_priority;
	struct sched_entity se;
	struct sched_rt_entity rt;
	unsigned int policy;
	int nr_cpus_allowed;
	cpumask_t cpus_mask;
	struct sched_info sched_info;
	struct list_head tasks;
	struct mm_struct *mm, *active_mm;
	struct task_rss_stat rss_stat;
	int exit_state, exit_code, exit_signal;
	unsigned int personality;
	pid_t pid, tgid;
	unsigned long stack_canary;
	struct task_struct *real_parent, *parent;
	struct list_head children, sibling;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct hlist_node pid_links[PIDTYPE_MAX];
	struct list_head thread_group, thread_node;
	u64 utime, stime, start_time, start_boottime;
	const struct cred *real_cred, *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	sigset_t blocked;
	struct sigpending pending;
	int make_it_fail;	/* fault injection with task-filter; children inherit it */
	unsigned int fail_nth;	/* this many calls that could fail from now */
	unsigned int kasan_depth;	/* above 0: its accesses are not reported */
	int lock_depth;			/* of the big kernel lock, -1: not held */
	unsigned long nvcsw, nivcsw;	/* switches: of its own accord, and not */
	unsigned long last_switch_count, last_switch_time; /* of khungtaskd */
	struct work_struct *current_work;	/* what a workqueue's thread is at */
	void *current_work_func;
	struct list_head run_list;
	struct thread_struct thread;
};

struct cfs_rq { struct load_weight load; unsigned int nr_running, h_nr_running; struct rb_root_cached tasks_timeline; struct sched_entity *curr; };
struct rt_prio_array { unsigned long bitmap[2]; struct list_head queue[100]; };
struct rt_rq { struct rt_prio_array active; };
struct rq { raw_spinlock_t __lock; unsigned int nr_running; struct cfs_rq cfs; struct rt_rq rt; struct task_struct *curr, *idle, *stop; struct mm_struct *prev_mm; u64 clock, clock_task; int cpu, online; struct list_head queue; };
DECLARE_PER_CPU(struct rq, runqueues);
#define STACK_END_MAGIC 0x57AC6E9D
union thread_union { unsigned long stack[THREAD_SIZE / 8]; };

DECLARE_PER_CPU(struct task_struct *, current_task);
#define current this_cpu_read(current_task)
extern struct task_struct init_task;
extern union thread_union init_stack;
extern int nr_threads;
extern raw_spinlock_t tasklist_lock;
/* For those who only look: false when a kernel that is dying must do without. */
bool tasklist_lock_forgiving(unsigned long *flags);
void tasklist_unlock(bool locked, unsigned long flags);
void show_stack(struct task_struct *task, unsigned long *sp, const char *log_lvl);

static inline struct pt_regs *task_pt_regs(struct task_struct *t)
{
	return (struct pt_regs *)((char *)t->stack + THREAD_SIZE) - 1;
}

#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)
#define __set_current_state(s) WRITE_ONCE(current->__state, s)
#define set_current_state(s) __atomic_store_n(&current->__state, s, __ATOMIC_SEQ_CST)
#define need_resched() (READ_ONCE(current->thread_info.flags) & 1UL << TIF_NEED_RESCHED)
static inline void set_tsk_need_resched(struct task_struct *t) { __atomic_fetch_or(&t->thread_info.flags, 1UL << TIF_NEED_RESCHED, __ATOMIC_RELAXED); }

typedef struct wait_queue_head { spinlock_t lock; struct list_head head; } wait_queue_head_t;
struct wait_queue_entry { struct list_head entry; struct task_struct *task; };
#define DECLARE_WAIT_QUEUE_HEAD(n) wait_queue_head_t n = { { { { { 0 } } } }, LIST_HEAD_INIT((n).head) }
void init_waitqueue_head(wait_queue_head_t *wq);
void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry, unsigned int state);
void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry);
#define __wait_event(wq, condition, state)                                                                    \
	({                                                                                                     \
		struct wait_queue_entry __entry = { .task = current };                                         \
		int __r = 0;                                                                                   \
		INIT_LIST_HEAD(&__entry.entry);                                                                \
		for (;;) {                                                                                     \
			prepare_to_wait(wq, &__entry, state);                                                  \
			if (condition)                                                                         \
				break;                                                                         \
			if ((state) == TASK_INTERRUPTIBLE && signal_pending(current)) {                        \
				__r = -EINTR;                                                                  \
				break;                                                                         \
			}                                                                                      \
			schedule();                                                                            \
		}                                                                                              \
		finish_wait(wq, &__entry);                                                                     \
		__r;                                                                                           \
	})
#define wait_event(wq, condition) ((void)__wait_event(wq, condition, TASK_UNINTERRUPTIBLE))
/* 0 when the condition holds, -EINTR when a signal came first. */
#define wait_event_interruptible(wq, condition) __wait_event(wq, condition, TASK_INTERRUPTIBLE)

struct completion { unsigned int done; wait_queue_head_t wait; };
void init_completion(struct completion *x);
void complete(struct completion *x);
void wait_for_completion(struct completion *x);
struct mutex { atomic_long_t owner; wait_queue_head_t wait; };
#define DEFINE_MUTEX(n) struct mutex n = { { 0 }, { { { { { 0 } } } }, LIST_HEAD_INIT((n).wait.head) } }
void mutex_lock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);

void sched_init(void);
void init_idle(struct task_struct *idle, int cpu);
void schedule(void);
/* For the idle task, which has nothing to wait for: whatever may run runs. */
void schedule_idle(void);
void schedule_tail(struct task_struct *prev);
void cond_resched(void);
int wake_up_state(struct task_struct *t, unsigned int state);
int wake_up_process(struct task_struct *t);
/* Lets a task find out about a signal. */
void signal_wake_up(struct task_struct *t);
void wake_up_new_task(struct task_struct *t);
void wake_up(wait_queue_head_t *wq);
#define MAX_SCHEDULE_TIMEOUT (~0UL >> 1)
long schedule_timeout(unsigned long ticks);
long schedule_timeout_interruptible(unsigned long ticks);
long schedule_timeout_uninterruptible(unsigned long ticks);
void msleep(unsigned int ms);
int set_cpus_allowed(struct task_struct *t, unsigned long mask);
int task_cpu(const struct task_struct *t);
void resched_cpu(int cpu);
void sched_show_task(struct task_struct *t);
void show_state_filter(unsigned int state);
void cpu_startup_entry(void) __noreturn;
bool idle_cpu(int cpu);
void __might_sleep(const char *file, int line);
#define might_sleep() __might_sleep(__FILE__, __LINE__)
void scheduler_tick(void);

/* A kernel thread: fn(arg) to its end. On one CPU only, when cpu is not negative. */
struct task_struct *kthread_create_on_cpu(int (*fn)(void *), void *arg, int cpu, const char *name);
struct task_struct *kthread_run(int (*fn)(void *), void *arg, const char *name);
int kthreadd(void *unused);
struct task_struct *fork_idle(int cpu);
struct task_struct *copy_process(struct pt_regs *regs, int (*fn)(void *), void *arg, bool idle);
pid_t kernel_clone(struct pt_regs *regs, int (*fn)(void *), void *arg);
void do_exit(long code) __noreturn;
void do_task_dead(void) __noreturn;
void make_task_dead(int signr) __noreturn;
void release_task(struct task_struct *t);
long kernel_wait4(pid_t pid, int *status, int options);
int kernel_execve(const char *path, const char *const *argv, const char *const *envp, struct pt_regs *regs);
void send_sig(int sig, struct task_struct *t);
void do_signal(struct pt_regs *regs);
bool signal_pending(struct task_struct *t);
void force_sig(int sig);
/* True when the signal will end the program: worth a line in the log. */
bool unhandled_signal(struct task_struct *t, int sig);
struct task_struct *find_task_by_vpid(pid_t pid);
void pid_init(void);
int attach_pid(struct task_struct *t);
void detach_pid(struct task_struct *t);
#define for_each_process(p) for (p = &init_task; (p = container_of(p->tasks.next, struct task_struct, tasks)) != &init_task;)
#endif
