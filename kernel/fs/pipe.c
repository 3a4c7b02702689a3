/* Pipes: a ring of bytes between two open files. Mirrors Linux fs/pipe.c. */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/syscalls.h>

#define PIPE_SIZE 4096
int ksys_close(unsigned int fd);

struct pipe_inode_info {
	unsigned int head, tail, readers, writers;
	wait_queue_head_t rd_wait, wr_wait;
	char ring[PIPE_SIZE];
};

static ssize_t pipe_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	struct pipe_inode_info *pipe = file->private_data;
	size_t done = 0;

	if (!n)
		return 0;
	if (wait_event_interruptible(&pipe->rd_wait, pipe->head != pipe->tail || !pipe->writers))
		return -EINTR;
	while (done < n && pipe->head != pipe->tail) {
		unsigned int at = pipe->tail % PIPE_SIZE;
		size_t part = min(min((size_t)(pipe->head - pipe->tail), n - done), (size_t)(PIPE_SIZE - at));

		if (copy_to_user(buf + done, pipe->ring + at, part))
			return -EFAULT;
		pipe->tail += part;
		done += part;
	}
	wake_up(&pipe->wr_wait);
	return done;
}

static ssize_t pipe_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	struct pipe_inode_info *pipe = file->private_data;
	size_t done = 0;

	while (done < n) {
		unsigned int at = pipe->head % PIPE_SIZE, space = PIPE_SIZE - (pipe->head - pipe->tail);
		size_t part = min(min((size_t)space, n - done), (size_t)(PIPE_SIZE - at));

		if (!pipe->readers) {
			send_sig(SIGPIPE, current);
			return done ? (ssize_t)done : -EPIPE;
		}
		if (!space) {
			if (wait_event_interruptible(&pipe->wr_wait, pipe->head - pipe->tail < PIPE_SIZE || !pipe->readers))
				return done ? (ssize_t)done : -EINTR;
			continue;
		}
		if (copy_from_user(pipe->ring + at, buf + done, part))
			return done ? (ssize_t)done : -EFAULT;
		pipe->head += part;
		done += part;
		wake_up(&pipe->rd_wait);
	}
	return done;
}

static void pipe_release(struct inode *inode, struct file *file)
{
	struct pipe_inode_info *pipe = file->private_data;

	if (file->f_flags & O_WRONLY)
		pipe->writers--;
	else
		pipe->readers--;
	wake_up(&pipe->rd_wait);
	wake_up(&pipe->wr_wait);
	if (!pipe->readers && !pipe->writers)
		kfree(pipe);
}

static const struct file_operations pipe_operations = { .read = pipe_read, .write = pipe_write, .release = pipe_release, .locked = true };

static long do_pipe(int __user *user_fds, int flags)
{
	struct pipe_inode_info *pipe = kzalloc(sizeof(*pipe), GFP_KERNEL);
	struct file *in, *out;
	int fds[2];

	if (!pipe)
		return -ENOMEM;
	init_waitqueue_head(&pipe->rd_wait);
	init_waitqueue_head(&pipe->wr_wait);
	pipe->readers = pipe->writers = 1;
	in = alloc_file(&pipe_operations, flags & O_CLOEXEC, pipe);
	out = alloc_file(&pipe_operations, O_WRONLY | (flags & O_CLOEXEC), pipe);
	if (IS_ERR(in) || IS_ERR(out)) {
		if (!IS_ERR(in))
			fput(in);
		if (!IS_ERR(out))
			fput(out);
		return -ENOMEM;
	}
	fds[0] = fd_install(in);
	if (fds[0] < 0) {
		fput(out);
		return fds[0];
	}
	fds[1] = fd_install(out);
	if (fds[1] < 0) {
		ksys_close(fds[0]);
		return fds[1];
	}
	if (!copy_to_user(user_fds, fds, sizeof(fds)))
		return 0;
	ksys_close(fds[0]);
	ksys_close(fds[1]);
	return -EFAULT;
}

SYSCALL_DEFINE(pipe)
{
	return do_pipe((int __user *)regs->di, 0);
}

SYSCALL_DEFINE(pipe2)
{
	return do_pipe((int __user *)regs->di, regs->si);
}
