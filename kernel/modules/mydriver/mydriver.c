/*
 * A character device made to be wrong: read() and write() dereference NULL + an offset when they are told to.
 * Out of the kernel's tree and unsigned, so that it taints.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>

#define MYDRIVER_SET_OFFSET 0x6d01
#define MYDRIVER_ARM 0x6d02 /* 1: write, 0: read */

static unsigned long offset = 8;
static bool armed, writes = true;

/* Where the fault happens; the pointer comes from outside, so that the compiler can't know it. */
static void touch(char *base)
{
	volatile int *field = (volatile int *)(base + offset);

	if (writes)
		*field = 1;
	else
		(void)*field;
}

static ssize_t my_driver_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	static const char text[] = "mydriver\n";

	if (armed) {
		armed = false;
		touch(file->private_data);
	}
	if (*pos >= (loff_t)sizeof(text) - 1)
		return 0;
	n = min(n, sizeof(text) - 1 - (size_t)*pos);
	if (copy_to_user(buf, text + *pos, n))
		return -EFAULT;
	*pos += n;
	return n;
}

static long my_driver_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case MYDRIVER_SET_OFFSET:
		offset = arg;
		return 0;
	case MYDRIVER_ARM:
		armed = true;
		writes = arg;
		return 0;
	}
	return -ENOTTY;
}

static const struct file_operations my_driver_fops = { .read = my_driver_read, .ioctl = my_driver_ioctl };

static int my_driver_init(void)
{
	printk(KERN_INFO "mydriver: registered\n");
	return register_chrdev_node("mydriver", 240 << 8, &my_driver_fops);
}

static void my_driver_exit(void)
{
	unregister_chrdev_node("mydriver");
}

module_init(my_driver_init);
module_exit(my_driver_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A character device with a NULL pointer in it");
