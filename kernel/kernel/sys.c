/* The system call table, the way in and out, and the small calls. Mirrors Linux arch/x86/entry/common.c, syscall_64.c, kernel/sys.c. */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/kasan.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/printk_ringbuffer.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/syscalls.h>

typedef long (*sys_call_ptr_t)(struct pt_regs *regs);
#define SYSCALLS(X)                                                                                                       \
	X(0, read) X(1, write) X(2, open) X(3, close) X(4, newstat) X(5, newfstat) X(6, newstat) X(8, lseek) X(9, mmap)    \
	X(11, munmap) X(12, brk) X(13, rt_sigaction) X(14, rt_sigprocmask) X(16, ioctl) X(21, access) X(22, pipe)          \
	X(24, sched_yield) X(32, dup) X(33, dup2) X(35, nanosleep) X(39, getpid) X(57, fork) X(59, execve) X(60, exit)     \
	X(61, wait4) X(62, kill) X(63, newuname) X(77, ftruncate) X(79, getcwd) X(80, chdir) X(83, mkdir) X(84, rmdir)     \
	X(87, unlink) X(96, gettimeofday) X(102, getuid) X(103, syslog) X(110, getppid) X(112, setsid) X(158, arch_prctl)  \
	X(162, sync) X(165, mount) X(166, umount) X(169, reboot) X(175, init_module) X(176, delete_module) X(186, getpid)  \
	X(201, time) X(203, sched_setaffinity) X(204, sched_getaffinity) X(217, getdents64) X(228, clock_gettime)          \
	X(231, exit) X(246, kexec_load) X(257, openat) X(292, dup3) X(293, pipe2) X(313, finit_module)                     \
	X(320, kexec_file_load)
#define DECLARE(nr, name) long __x64_sys_##name(struct pt_regs *regs);
SYSCALLS(DECLARE)
#define ENTRY(nr, name) [nr] = __x64_sys_##name,
const sys_call_ptr_t sys_call_table[] = { SYSCALLS(ENTRY) };

extern struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; } shadow_timekeeper;

void do_syscall_64(struct pt_regs *regs, int nr);
noinline void do_syscall_64(struct pt_regs *regs, int nr)
{
	kasan_check_async();
	local_irq_enable();
	if ((unsigned int)nr < ARRAY_SIZE(sys_call_table) && sys_call_table[nr]) {
		lock_kernel();
		regs->ax = sys_call_table[nr](regs);
		unlock_kernel();
	}
}

/* What waits on the way back to the program: another task's turn, a signal. */
void exit_to_user_mode(struct pt_regs *regs);
void exit_to_user_mode(struct pt_regs *regs)
{
	kasan_check_async();
	local_irq_disable();
	while (current->thread_info.flags & 1UL << TIF_NEED_RESCHED || signal_pending(current)) {
		local_irq_enable();
		if (current->thread_info.flags & 1UL << TIF_NEED_RESCHED)
			schedule();
		if (signal_pending(current))
			do_signal(regs);
		local_irq_disable();
	}
}

SYSCALL_DEFINE(getpid)
{
	return current->tgid;
}

SYSCALL_DEFINE(getppid)
{
	return current->parent->pid;
}

SYSCALL_DEFINE(getuid)
{
	return 0;
}

SYSCALL_DEFINE(setsid)
{
	return current->pid;
}

SYSCALL_DEFINE(sync)
{
	return 0;
}

SYSCALL_DEFINE(sched_yield)
{
	schedule();
	return 0;
}

/* A mask of one word: there are never more CPUs. */
static struct task_struct *affinity_task(pid_t pid)
{
	return pid ? find_task_by_vpid(pid) : current;
}

SYSCALL_DEFINE(sched_setaffinity)
{
	struct task_struct *t = affinity_task(regs->di);
	unsigned long mask = 0;

	if (!t)
		return -ESRCH;
	if (copy_from_user(&mask, (void __user *)regs->dx, min(regs->si, sizeof(mask))))
		return -EFAULT;
	return set_cpus_allowed(t, mask);
}

SYSCALL_DEFINE(sched_getaffinity)
{
	struct task_struct *t = affinity_task(regs->di);
	unsigned long mask;

	if (!t)
		return -ESRCH;
	if (regs->si < sizeof(mask))
		return -EINVAL;
	mask = t->cpus_mask.bits[0] & __cpu_online_mask.bits[0];
	return copy_to_user((void __user *)regs->dx, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

SYSCALL_DEFINE(fork)
{
	return kernel_clone(regs, NULL, NULL);
}

SYSCALL_DEFINE(exit)
{
	do_exit((regs->di & 0xff) << 8);
}

SYSCALL_DEFINE(wait4)
{
	int status = 0;
	long pid = kernel_wait4(regs->di, &status, regs->dx);

	if (pid > 0 && regs->si && copy_to_user((void __user *)regs->si, &status, sizeof(status)))
		return -EFAULT;
	return pid;
}

SYSCALL_DEFINE(kill)
{
	struct task_struct *t = find_task_by_vpid(regs->di);

	if (regs->si > 64)
		return -EINVAL;
	if (!t)
		return -ESRCH;
	if (regs->si && t->mm)
		send_sig(regs->si, t);
	return 0;
}

/* Handlers in the program are not offered: only default and ignored. */
SYSCALL_DEFINE(rt_sigaction)
{
	struct k_sigaction *k, new;

	if (!regs->di || regs->di > 64 || regs->di == SIGKILL)
		return -EINVAL;
	k = &current->sighand->action[regs->di - 1];
	if (regs->dx && copy_to_user((void __user *)regs->dx, k, sizeof(*k)))
		return -EFAULT;
	if (!regs->si)
		return 0;
	if (copy_from_user(&new, (void __user *)regs->si, sizeof(new)))
		return -EFAULT;
	if ((unsigned long)new.sa.sa_handler > 1)
		return -ENOSYS;
	*k = new;
	return 0;
}

SYSCALL_DEFINE(rt_sigprocmask)
{
	sigset_t set, old = current->blocked;

	if (regs->si) {
		if (copy_from_user(&set, (void __user *)regs->si, sizeof(set)))
			return -EFAULT;
		set.sig[0] &= ~(1UL << (SIGKILL - 1));
		current->blocked.sig[0] = regs->di == 0 ? old.sig[0] | set.sig[0] : regs->di == 1 ? old.sig[0] & ~set.sig[0] : set.sig[0];
	}
	return regs->dx && copy_to_user((void __user *)regs->dx, &old, sizeof(old)) ? -EFAULT : 0;
}

struct timespec { long tv_sec, tv_nsec; };

SYSCALL_DEFINE(nanosleep)
{
	struct timespec t;

	if (copy_from_user(&t, (void __user *)regs->di, sizeof(t)))
		return -EFAULT;
	if (t.tv_sec < 0 || t.tv_sec > 1000000000 || (unsigned long)t.tv_nsec >= 1000000000)
		return -EINVAL;
	if (t.tv_sec || t.tv_nsec)
		schedule_timeout_interruptible(t.tv_sec * HZ + (t.tv_nsec + 999999) / 1000000);
	return signal_pending(current) ? -EINTR : 0;
}

SYSCALL_DEFINE(clock_gettime)
{
	u64 ns = sched_clock();
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	if (regs->di > 7)
		return -EINVAL;
	if (regs->di == 0)
		t.tv_sec = shadow_timekeeper.xtime_sec;
	return copy_to_user((void __user *)regs->si, &t, sizeof(t)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(gettimeofday)
{
	struct timespec t = { shadow_timekeeper.xtime_sec, sched_clock() % 1000000000 / 1000 };

	return regs->di && copy_to_user((void __user *)regs->di, &t, sizeof(t)) ? -EFAULT : 0;
}

SYSCALL_DEFINE(time)
{
	return shadow_timekeeper.xtime_sec;
}

SYSCALL_DEFINE(newuname)
{
	return copy_to_user((void __user *)regs->di, &init_uts_ns.name, sizeof(init_uts_ns.name)) ? -EFAULT : 0;
}

/* dmesg: 3 reads the last bytes, 4 reads and clears, 5 clears, 8 sets the console's level, 10 is the buffer's size. */
SYSCALL_DEFINE(syslog)
{
	char *to = (char *)regs->si;
	struct printk_info info;
	static char text[PRINTK_LINE_MAX], line[4 * PRINTK_LINE_MAX]; /* the kernel is not preempted in here */
	size_t done = 0, total = 0;
	u64 first = max(prb_first_seq(), clear_seq.val[0]), next = prb_next_seq();
	bool clear = regs->di == 4 || regs->di == 5;

	if (regs->di == 8) {
		console_loglevel = regs->dx;
		return 0;
	}
	if (regs->di == 10)
		return log_buf_len;
	if (regs->di < 3 || regs->di > 5)
		return -EINVAL;
	for (int pass = 0; pass < 2 && regs->di != 5; pass++)
		for (u64 seq = first; seq < next; seq++) {
			int n = prb_read(seq, &info, text, sizeof(text));

			if (n < 0)
				continue;
			n = record_print_text(&info, text, n, true, line, sizeof(line));
			if (!pass)
				total += n;
			else if (total > regs->dx) /* the oldest do not fit */
				total -= n;
			else {
				if (copy_to_user(to + done, line, n))
					return -EFAULT;
				done += n;
			}
		}
	if (clear)
		clear_seq.val[0] = clear_seq.val[1] = next;
	return done;
}

#define PR_SET_FS 0x1002
SYSCALL_DEFINE(arch_prctl)
{
	if (regs->di != PR_SET_FS || regs->si >= TASK_SIZE)
		return -EINVAL;
	current->thread.fsbase = regs->si;
	wrmsrl(MSR_FS_BASE, regs->si);
	return 0;
}

/* The tree has its /proc, /dev and /sys from the start: mounting them again only checks the names. */
SYSCALL_DEFINE(mount)
{
	static const char *const known[] = { "proc", "sysfs", "devtmpfs", "tmpfs" };
	char path[256], type[32];
	struct dentry *dentry;
	long n = strncpy_from_user(path, (void __user *)regs->si, sizeof(path));

	if (n >= 0)
		n = strncpy_from_user(type, (void __user *)regs->dx, sizeof(type));
	if (n < 0)
		return n;
	dentry = vfs_lookup(path);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	if (!S_ISDIR(dentry->d_inode->i_mode))
		return -ENOTDIR;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(type, known[i]))
			return 0;
	return -ENODEV;
}

SYSCALL_DEFINE(umount)
{
	return -EINVAL;
}

#define LINUX_REBOOT_CMD_RESTART 0x01234567
#define LINUX_REBOOT_CMD_HALT 0xcdef0123
#define LINUX_REBOOT_CMD_POWER_OFF 0x4321fedc
#define LINUX_REBOOT_CMD_CAD_ON 0x89abcdef
#define LINUX_REBOOT_CMD_CAD_OFF 0
#define LINUX_REBOOT_CMD_KEXEC 0x45584543
SYSCALL_DEFINE(reboot)
{
	if ((u32)regs->di != 0xfee1dead)
		return -EINVAL;
	switch ((u32)regs->dx) {
	case LINUX_REBOOT_CMD_RESTART:
		pr_emerg("reboot: Restarting system\n");
		machine_restart(NULL);
	case LINUX_REBOOT_CMD_HALT:
		pr_emerg("reboot: System halted\n");
		machine_halt();
	case LINUX_REBOOT_CMD_POWER_OFF:
		pr_emerg("reboot: Power down\n");
		outw(0x604, 0x2000); /* where QEMU's i440FX has its sleep register */
		machine_halt();
	case LINUX_REBOOT_CMD_KEXEC:
		return kernel_kexec();
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0;
	}
	return -EINVAL;
}
