/* /dev/null, zero, full and kmsg. Mirrors Linux drivers/char/mem.c and devkmsg of kernel/printk/printk.c. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/printk_ringbuffer.h>

static ssize_t read_null(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	return 0;
}

static ssize_t write_null(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	return n;
}

static ssize_t read_zero(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	static const char zeroes[256];

	for (size_t done = 0; done < n; done += sizeof(zeroes))
		if (copy_to_user(buf + done, zeroes, min(n - done, sizeof(zeroes))))
			return -EFAULT;
	return n;
}

static ssize_t write_full(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	return -ENOSPC;
}

/* One record a read. The position is the next sequence number. */
static ssize_t devkmsg_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	struct printk_info info;
	static char text[PRINTK_LINE_MAX], line[CONSOLE_EXT_LOG_MAX]; /* the kernel is not preempted in here */
	int length = -1;

	if (*pos < (loff_t)prb_first_seq())
		*pos = prb_first_seq();
	while (*pos < (loff_t)prb_next_seq() && (length = prb_read(*pos, &info, text, sizeof(text))) < 0)
		++*pos;
	if (length < 0)
		return -EAGAIN;
	length = record_print_ext(&info, text, length, line, sizeof(line));
	if ((size_t)length > n)
		return -EINVAL;
	if (copy_to_user(buf, line, length))
		return -EFAULT;
	++*pos;
	return length;
}

static ssize_t devkmsg_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	char text[PRINTK_LINE_MAX], *s = text, *end;
	int level = 4, facility = 1; /* KERN_WARNING; LOG_USER: only the kernel is LOG_KERN */

	if (n >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	text[n] = 0;
	if (*s == '<') {
		unsigned long value = simple_strtoul(s + 1, &end, 10);

		if (*end == '>') {
			level = value & 7;
			facility = value >> 3 & 0xff ? value >> 3 & 0xff : 1;
			s = end + 1;
		}
	}
	if (n && text[n - 1] == '\n')
		text[n - 1] = 0;
	devkmsg_emit(facility, level, s);
	return n;
}

static const struct file_operations null_fops = { .read = read_null, .write = write_null };
static const struct file_operations zero_fops = { .read = read_zero, .write = write_null };
static const struct file_operations full_fops = { .read = read_zero, .write = write_full };
static const struct file_operations kmsg_fops = { .read = devkmsg_read, .write = devkmsg_write };

static int chr_dev_init(void)
{
	register_chrdev_node("null", 1 << 8 | 3, &null_fops);
	register_chrdev_node("zero", 1 << 8 | 5, &zero_fops);
	register_chrdev_node("full", 1 << 8 | 7, &full_fops);
	register_chrdev_node("kmsg", 1 << 8 | 11, &kmsg_fops);
	return 0;
}
fs_initcall(chr_dev_init);
