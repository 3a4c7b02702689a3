/*
 * The block device whose back end is the host: eight registers, one request at a time, as a rule served before the next
 * instruction. /dev/cblk0 takes whole sectors at whole sectors. Absent on other machines and without a disk.
 */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>

#define CBLK 0x5e0
#define CBLK_SIGNATURE 0x4b4c4243
#define SECTOR 512UL
#define BUFFER_ORDER 4
#define BUFFER_SIZE (PAGE_SIZE << BUFFER_ORDER)
#define CBLK_IRQ 10
enum { CBLK_SECTOR = CBLK + 4, CBLK_ADDRESS = CBLK + 0xc, CBLK_COUNT = CBLK + 0x14, CBLK_COMMAND = CBLK + 0x18, CBLK_ACK = CBLK + 0x1c };
enum { CBLK_READ = 1, CBLK_WRITE, CBLK_FLUSH };
enum { CBLK_READY, CBLK_BUSY };

/* How long a request may take before it is given up (Linux: BLK_DEFAULT_TIMEOUT). */
#define CBLK_TIMEOUT_MS 30000

static char *bounce;
static loff_t capacity; /* bytes */
static bool dead; /* a request was given up: the device holds the buffer and takes no other */

/* A request failed: in the words of block/blk-mq.c (blk_print_req_error) and fs/buffer.c (buffer_io_error). */
static int request_failed(u32 command, unsigned long sector, int err)
{
	bool write = command == CBLK_WRITE;

	pr_err("%s error, dev cblk0, sector %lu op 0x%x:(%s) flags 0x%x phys_seg 1 prio class 2\n", err == -ETIMEDOUT ? "timeout" : "I/O",
	       sector, write, write ? "WRITE" : "READ", write ? 0x800 : 0);
	pr_err("Buffer I/O error on dev cblk0, logical block %lu, %s\n", sector / (PAGE_SIZE / SECTOR),
	       write ? "lost sync page write" : "async page read");
	return err;
}

static int transfer(u32 command, loff_t pos, size_t n)
{
	unsigned long sector = pos / SECTOR, address = __pa(bounce);
	u32 status;

	if (dead)
		return request_failed(command, sector, -EIO);
	outl(CBLK_SECTOR, sector);
	outl(CBLK_SECTOR + 4, sector >> 32);
	outl(CBLK_ADDRESS, address);
	outl(CBLK_ADDRESS + 4, address >> 32);
	outl(CBLK_COUNT, n / SECTOR);
	outl(CBLK_COMMAND, command);
	for (int waited = 0; (status = inl(CBLK_COMMAND)) == CBLK_BUSY; waited += 10) {
		if (waited >= CBLK_TIMEOUT_MS) {
			dead = true;
			return request_failed(command, sector, -ETIMEDOUT);
		}
		msleep(10);
	}
	outl(CBLK_ACK, 1);
	return status ? request_failed(command, sector, -EIO) : 0;
}

static ssize_t move(char __user *buf, size_t n, loff_t *pos, u32 command)
{
	size_t done = 0;

	if (n % SECTOR || *pos % SECTOR)
		return -EINVAL;
	while (done < n && *pos < capacity) {
		size_t part = min(min(n - done, BUFFER_SIZE), (size_t)(capacity - *pos));
		int err;

		if (command == CBLK_WRITE && copy_from_user(bounce, buf + done, part))
			return -EFAULT;
		err = transfer(command, *pos, part);
		if (err)
			return done ? (ssize_t)done : err;
		if (command == CBLK_READ && copy_to_user(buf + done, bounce, part))
			return -EFAULT;
		done += part;
		*pos += part;
	}
	return done || command == CBLK_READ ? (ssize_t)done : -ENOSPC;
}

static ssize_t cblk_read(struct file *file, char __user *buf, size_t n, loff_t *pos)
{
	return move(buf, n, pos, CBLK_READ);
}

static ssize_t cblk_write(struct file *file, const char __user *buf, size_t n, loff_t *pos)
{
	return move((char __user *)buf, n, pos, CBLK_WRITE);
}

static const struct file_operations cblk_operations = { .read = cblk_read, .write = cblk_write };

static void cblk_interrupt(int irq)
{
	outl(CBLK_ACK, 1);
}

static int cblk_init(void)
{
	struct page *pages;

	if (inl(CBLK) != CBLK_SIGNATURE)
		return 0;
	capacity = ((u64)inl(CBLK_SECTOR) | (u64)inl(CBLK_SECTOR + 4) << 32) * SECTOR;
	pages = alloc_pages(GFP_KERNEL, BUFFER_ORDER);
	if (!pages)
		return -ENOMEM;
	bounce = page_address(pages);
	request_irq(CBLK_IRQ, cblk_interrupt);
	register_chrdev_node("cblk0", 253 << 8, &cblk_operations);
	vfs_lookup("/dev/cblk0")->d_inode->i_mode = S_IFBLK | 0600; /* so that it has positions */
	pr_info("cblk0: %lu sectors\n", (unsigned long)(capacity / SECTOR));
	return 0;
}
device_initcall(cblk_init);
