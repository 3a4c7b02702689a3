/* Kernel threads, all children of kthreadd, which makes them. Mirrors Linux kernel/kthread.c. */
#include <asm/processor.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

struct kthread_create_info { int (*threadfn)(void *); void *data; int cpu; const char *name; struct task_struct *result; struct completion done; struct list_head list; };
static LIST_HEAD(kthread_create_list);
static DEFINE_RAW_SPINLOCK(kthread_create_lock);
static DECLARE_WAIT_QUEUE_HEAD(kthreadd_wait);
struct kthread { int (*threadfn)(void *); void *data; };

/* Where every kernel thread begins. */
static noinline int kthread(void *arg)
{
	struct kthread self = *(struct kthread *)arg;

	kfree(arg);
	do_exit(self.threadfn(self.data));
}

static noinline void create_kthread(struct kthread_create_info *create)
{
	struct kthread *self = kmalloc(sizeof(*self), GFP_KERNEL);
	struct task_struct *t;

	if (!self) {
		create->result = ERR_PTR(-ENOMEM);
		return;
	}
	self->threadfn = create->threadfn;
	self->data = create->data;
	lock_kernel();
	t = copy_process(NULL, kthread, self, false);
	unlock_kernel();
	create->result = t;
	if (IS_ERR(t)) {
		kfree(self);
		return;
	}
	strscpy(t->comm, create->name, sizeof(t->comm));
	if (create->cpu >= 0) {
		t->cpus_mask.bits[0] = 1UL << create->cpu;
		t->nr_cpus_allowed = 1;
		t->cpu = create->cpu;
		t->flags |= PF_NO_SETAFFINITY;
	}
}

static struct kthread_create_info *next_request(void)
{
	struct kthread_create_info *create = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&kthread_create_lock, flags);
	if (!list_empty(&kthread_create_list)) {
		create = list_first_entry(&kthread_create_list, struct kthread_create_info, list);
		list_del_init(&create->list);
	}
	raw_spin_unlock_irqrestore(&kthread_create_lock, flags);
	return create;
}

int kthreadd(void *unused)
{
	struct kthread_create_info *create;

	strscpy(current->comm, "kthreadd", sizeof(current->comm));
	for (;;) {
		__wait_event(&kthreadd_wait, (create = next_request()), TASK_INTERRUPTIBLE);
		if (!create)
			continue;
		create_kthread(create);
		complete(&create->done);
	}
	return 0;
}

struct task_struct *kthread_create_on_cpu(int (*fn)(void *), void *arg, int cpu, const char *name)
{
	struct kthread_create_info create = { .threadfn = fn, .data = arg, .cpu = cpu, .name = name };
	unsigned long flags;

	init_completion(&create.done);
	raw_spin_lock_irqsave(&kthread_create_lock, flags);
	list_add_tail(&create.list, &kthread_create_list);
	raw_spin_unlock_irqrestore(&kthread_create_lock, flags);
	wake_up(&kthreadd_wait);
	wait_for_completion(&create.done);
	if (!IS_ERR(create.result))
		wake_up_new_task(create.result);
	return create.result;
}

struct task_struct *kthread_run(int (*fn)(void *), void *arg, const char *name)
{
	return kthread_create_on_cpu(fn, arg, -1, name);
}
EXPORT_SYMBOL(kthread_run);
EXPORT_SYMBOL(kthread_create_on_cpu);
