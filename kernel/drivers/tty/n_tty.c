/* The line discipline: echo, editing and whole lines for readers. Mirrors Linux drivers/tty/n_tty.c and tty_io.c. */
#include <asm/processor.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include "tty.h"

#define ICRNL 0400
#define OPOST 1
#define ONLCR 4
#define ISIG 1
#define ICANON 2
#define ECHO 8
#define VINTR 0
#define VERASE 2
#define VKILL 3
#define VEOF 4
#define TCGETS 0x5401
#define TCSETSF 0x5404
#define TIOCSCTTY 0x540e
#define TIOCGWINSZ 0x5413
#define FIONREAD 0x541b

void n_tty_init(struct tty_struct *tty)
{
	spin_lock_init(&tty->lock);
	init_waitqueue_head(&tty->read_wait);
	tty->termios = (struct termios){ ICRNL, OPOST | ONLCR, 0xbd, ISIG | ICANON | ECHO, 0, { 3, 28, 127, 21, 4, 0, 1 } };
}

static void put_text(struct tty_struct *tty, const char *text, size_t n)
{
	uart_write(tty, text, n, (tty->termios.c_oflag & (OPOST | ONLCR)) == (OPOST | ONLCR));
}

static void put_char(struct tty_struct *tty, char c)
{
	put_text(tty, &c, 1);
}

static void echo(struct tty_struct *tty, char c)
{
	if (!(tty->termios.c_lflag & ECHO))
		return;
	if ((unsigned char)c < 32 && c != '\n' && c != '\t') {
		put_char(tty, '^');
		c += 64;
	}
	put_char(tty, c);
}

static void erase(struct tty_struct *tty)
{
	if (tty->read_head == tty->canon_head)
		return;
	tty->read_head--;
	if (tty->termios.c_lflag & ECHO)
		put_text(tty, "\b \b", 3);
}

/* ^C: every program that has this terminal open hears of it; init does not. */
static void interrupt(struct tty_struct *tty)
{
	struct task_struct *t;
	unsigned long flags;

	tty->read_head = tty->canon_head;
	raw_spin_lock_irqsave(&tasklist_lock, flags);
	for_each_process(t)
		for (int fd = 0; t->mm && t->pid != 1 && t->files && fd < 3; fd++)
			if (t->files->fd_array[fd] && t->files->fd_array[fd]->private_data == tty) {
				send_sig(SIGINT, t);
				break;
			}
	raw_spin_unlock_irqrestore(&tasklist_lock, flags);
}

bool n_tty_receive_char(struct tty_struct *tty, char c)
{
	bool canonical = tty->termios.c_lflag & ICANON;
	const u8 *cc = tty->termios.c_cc;

	if (c == '\r' && tty->termios.c_iflag & ICRNL)
		c = '\n';
	if (tty->termios.c_lflag & ISIG && c == cc[VINTR]) {
		echo(tty, c);
		put_char(tty, '\n');
		interrupt(tty);
		return true;
	}
	if (canonical && ((u8)c == cc[VERASE] || c == '\b')) {
		erase(tty);
		return true;
	}
	if (canonical && c == cc[VKILL]) {
		while (tty->read_head != tty->canon_head)
			erase(tty);
		return true;
	}
	if (canonical && c == cc[VEOF]) {
		tty->eof = tty->read_head == tty->canon_head;
		tty->canon_head = tty->read_head;
		wake_up(&tty->read_wait);
		return true;
	}
	if (tty->read_head - tty->read_tail >= N_TTY_BUF_SIZE - 1 && c != '\n') {
		if (!canonical || tty->canon_head != tty->read_tail)
			return false;
		return true; /* one line longer than the buffer: the rest of it is lost, as in Linux */
	}
	if (tty->read_head - tty->read_tail >= N_TTY_BUF_SIZE)
		return false;
	echo(tty, c);
	tty->read_buf[tty->read_head++ % N_TTY_BUF_SIZE] = c;
	if (!canonical || c == '\n') {
		tty->canon_head = tty->read_head;
		wake_up(&tty->read_wait);
	}
	return true;
}

static int tty_open(struct inode *inode, struct file *file)
{
	file->private_data = tty_of(inode->i_rdev);
	return file->private_data ? 0 : -ENODEV;
}

static ssize_t n_tty_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	struct tty_struct *tty = file->private_data;
	size_t done = 0;

	if (wait_event_interruptible(&tty->read_wait, tty->read_tail != tty->canon_head || tty->eof))
		return -EINTR;
	if (tty->read_tail == tty->canon_head) {
		tty->eof = false;
		return 0;
	}
	while (done < n && tty->read_tail != tty->canon_head) {
		char c = tty->read_buf[tty->read_tail++ % N_TTY_BUF_SIZE];

		if (copy_to_user(buf + done++, &c, 1))
			return -EFAULT;
		if (c == '\n' && tty->termios.c_lflag & ICANON)
			break;
	}
	if (tty->throttled)
		uart_unthrottle(tty);
	return done;
}

static ssize_t tty_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	struct tty_struct *tty = file->private_data;
	char part[256];

	for (size_t done = 0; done < n;) {
		size_t count = min(n - done, sizeof(part));

		if (copy_from_user(part, buf + done, count))
			return done ? (ssize_t)done : -EFAULT;
		put_text(tty, part, count);
		done += count;
	}
	return n;
}

static long tty_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	static const unsigned short window[4] = { 24, 80 };
	struct tty_struct *tty = file->private_data;
	unsigned int waiting = tty->canon_head - tty->read_tail;
	/* the kernel's struct termios ends with c_cc: 36 bytes */
	struct termios termios;

	if (cmd == TCGETS)
		return copy_to_user((void __user *)arg, &tty->termios, sizeof(termios)) ? -EFAULT : 0;
	if (cmd > TCGETS && cmd <= TCSETSF) {
		if (copy_from_user(&termios, (void __user *)arg, sizeof(termios)))
			return -EFAULT;
		tty->termios = termios;
		return 0;
	}
	if (cmd == TIOCGWINSZ)
		return copy_to_user((void __user *)arg, window, sizeof(window)) ? -EFAULT : 0;
	if (cmd == FIONREAD)
		return copy_to_user((void __user *)arg, &waiting, sizeof(waiting)) ? -EFAULT : 0;
	return cmd == TIOCSCTTY ? 0 : -ENOTTY;
}

const struct file_operations tty_fops = { .open = tty_open, .read = n_tty_read, .write = tty_write, .ioctl = tty_ioctl, .locked = true };
