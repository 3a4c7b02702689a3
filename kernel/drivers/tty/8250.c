/*
 * The 16550 serial ports: ttyS0 is the console, ttyS1 the host's second channel. Mirrors Linux drivers/tty/serial/8250.
 */
#include <asm/processor.h>
#include <linux/console.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include "tty.h"

#define UART_IER 1
#define UART_IIR 2
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7
#define UART_LSR_DR 1
#define UART_LSR_BI 0x10
#define UART_LSR_THRE 0x20

static struct tty_struct ttys[2] = { { .port = 0x3f8, .irq = 4 }, { .port = 0x2f8, .irq = 3 } };

struct tty_struct *tty_of(dev_t dev)
{
	unsigned int minor = dev & 0xff;

	if (dev >> 8 == 5)
		return &ttys[0];
	return minor >= 64 && minor < 64 + ARRAY_SIZE(ttys) ? &ttys[minor - 64] : NULL;
}

/* Reading LSR takes a BREAK's mark away, whoever reads it. */
static u8 lsr_saved_flags[ARRAY_SIZE(ttys)];

static u8 serial_lsr_in(struct tty_struct *tty)
{
	u8 lsr = inb(tty->port + UART_LSR), *saved = &lsr_saved_flags[tty - ttys];

	*saved |= lsr & UART_LSR_BI;
	return lsr;
}

/* Fills the FIFO each time it is empty, as Linux's serial8250_console_fifo_write(). */
static void send(struct tty_struct *tty, const char *text, size_t n)
{
	while (n) {
		size_t part = min(n, tty->fifo_size ?: 1); /* not known yet: a byte at a time */

		/* bounded: a port that never drains must not hang a kernel that is about to say why it dies */
		for (int i = 0; i < 100000 && !(serial_lsr_in(tty) & UART_LSR_THRE); i++)
			cpu_relax();
		outsb(tty->port, text, part);
		text += part;
		n -= part;
	}
}

void uart_write(struct tty_struct *tty, const char *text, size_t n, bool crlf)
{
	for (const char *newline; crlf && (newline = memchr(text, '\n', n)); n -= newline + 1 - text, text = newline + 1) {
		send(tty, text, newline - text);
		send(tty, "\r\n", 2);
	}
	send(tty, text, n);
}

/* BREAK on the console, then a letter within five seconds: a magic key. */
static bool sysrq_char(u8 status, char c)
{
	static unsigned long sysrq_until;
	bool pressed = sysrq_until && (long)(jiffies - sysrq_until) < 0;

	if (status & UART_LSR_BI) {
		sysrq_until = pressed ? 0 : jiffies + 5 * HZ;
		return true;
	}
	sysrq_until = 0;
	if (pressed)
		handle_sysrq(c);
	return pressed;
}

static void receive(struct tty_struct *tty)
{
	static struct { bool held; char c; } pending[ARRAY_SIZE(ttys)];
	typeof(pending[0]) *held = &pending[tty - ttys];

	for (;;) {
		if (!held->held) {
			u8 status = serial_lsr_in(tty);

			if (!(status & UART_LSR_DR))
				return;
			status |= lsr_saved_flags[tty - ttys];
			lsr_saved_flags[tty - ttys] = 0;
			held->c = inb(tty->port);
			if (tty == &ttys[0] && sysrq_char(status, held->c))
				continue;
		}
		held->held = !n_tty_receive_char(tty, held->c);
		if (held->held) {
			tty->throttled = true;
			outb(tty->port + UART_IER, 0);
			return;
		}
	}
}

void uart_unthrottle(struct tty_struct *tty)
{
	unsigned long flags;

	spin_lock_irqsave(&tty->lock, flags);
	tty->throttled = false;
	receive(tty);
	if (!tty->throttled)
		outb(tty->port + UART_IER, 1);
	spin_unlock_irqrestore(&tty->lock, flags);
}

static void serial8250_interrupt(int irq)
{
	struct tty_struct *tty = irq == 4 ? &ttys[0] : &ttys[1];

	spin_lock(&tty->lock);
	receive(tty);
	spin_unlock(&tty->lock);
}

static bool present(u16 port)
{
	outb(port + UART_SCR, 0x5a);
	return inb(port + UART_SCR) == 0x5a;
}

static void univ8250_console_write(struct console *con, const char *text, size_t n)
{
	uart_write(&ttys[0], text, n, true);
}
static struct console univ8250_console = { .name = "ttyS", .write = univ8250_console_write };
static bool console_wanted;

static int console_setup(char *value)
{
	console_wanted |= !strncmp(value, "ttyS0", 5);
	return 1;
}
__setup("console=", console_setup);

/*
 * `earlyprintk=serial`: the console is there before memory is, so that a kernel that ends early says why. It is the
 * same console, not one that gives way to another (Linux arch/x86/kernel/early_printk.c).
 */
static bool console_early;

static int setup_early_printk(char *value)
{
	if (strncmp(value, "serial", 6) && strncmp(value, "ttyS0", 5))
		return 1;
	console_early = present(ttys[0].port);
	if (console_early)
		register_console(&univ8250_console);
	return 1;
}
early_param("earlyprintk=", setup_early_printk);

/* The port is ready to print long before there are files. */
void console_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ttys); i++) {
		n_tty_init(&ttys[i]);
		outb(ttys[i].port + UART_LCR, 0x80);
		outb(ttys[i].port, 1);
		outb(ttys[i].port + UART_IER, 0);
		outb(ttys[i].port + UART_LCR, 3);
		outb(ttys[i].port + UART_FCR, 7);
		ttys[i].fifo_size = inb(ttys[i].port + UART_IIR) >> 6 == 3 ? 16 : 1;
		outb(ttys[i].port + UART_MCR, 0xb);
	}
	if (console_wanted && !console_early && present(ttys[0].port))
		register_console(&univ8250_console);
}

static int serial8250_init(void)
{
	static const char *const names[] = { "ttyS0", "ttyS1" };

	pr_info("Serial: 8250/16550 driver, %d ports, IRQ sharing disabled\n", (int)ARRAY_SIZE(ttys));
	for (size_t i = 0; i < ARRAY_SIZE(ttys); i++) {
		if (!present(ttys[i].port))
			continue;
		pr_info("serial8250: %s at I/O 0x%x (irq = %d, base_baud = 115200) is a 16550A\n", names[i], ttys[i].port, ttys[i].irq);
		register_chrdev_node(names[i], 4 << 8 | (64 + i), &tty_fops);
		request_irq(ttys[i].irq, serial8250_interrupt);
		outb(ttys[i].port + UART_IER, 1);
	}
	register_chrdev_node("console", 5 << 8 | 1, &tty_fops);
	register_chrdev_node("tty", 5 << 8, &tty_fops);
	return 0;
}
device_initcall(serial8250_init);
