/* A terminal on a serial port: the line discipline (n_tty.c) above, the UART (8250.c) below. */
#ifndef _DRIVERS_TTY_H
#define _DRIVERS_TTY_H
#include <linux/fs.h>

#define N_TTY_BUF_SIZE 4096
struct termios { u32 c_iflag, c_oflag, c_cflag, c_lflag; u8 c_line, c_cc[19]; };
struct tty_struct {
	spinlock_t lock;	/* of what the interrupt and readers both change */
	u16 port;
	int irq;
	size_t fifo_size;	/* of the transmitter */
	bool throttled;		/* input waits in the UART until somebody reads */
	bool eof;
	struct termios termios;
	unsigned int read_head, read_tail, canon_head;
	wait_queue_head_t read_wait;
	char read_buf[N_TTY_BUF_SIZE];
};
extern const struct file_operations tty_fops;
struct tty_struct *tty_of(dev_t dev);
void handle_sysrq(int key);
void n_tty_init(struct tty_struct *tty);
/* False when there is no room before somebody reads. */
bool n_tty_receive_char(struct tty_struct *tty, char c);
/* crlf: a newline is sent as carriage return and newline. */
void uart_write(struct tty_struct *tty, const char *text, size_t n, bool crlf);
void uart_unthrottle(struct tty_struct *tty);
#endif
