/*
 * The block device whose back end is the host: eight registers, one request at a time, each served before the next
 * instruction. /dev/cblk0 takes whole sectors at whole sectors. Absent on other machines and without a disk.
 */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>

#define CBLK 0x5e0
#define CBLK_SIGNATURE 0x4b4c4243
#define SECTOR 512UL
#define BUFFER_ORDER 4
#define BUFFER_SIZE (PAGE_SIZE << BUFFER_ORDER)
#define CBLK_IRQ 10
enum { CBLK_SECTOR = CBLK + 4, CBLK_ADDRESS = CBLK + 0xc, CBLK_COUNT = CBLK + 0x14, CBLK_COMMAND = CBLK + 0x18, CBLK_ACK = CBLK + 0x1c };
enum { CBLK_READ = 1, CBLK_WRITE, CBLK_FLUSH };

static char *bounce;
static loff_t capacity; /* bytes */

static int transfer(u32 command, loff_t pos, size_t n)
{
	unsigned long sector = pos / SECTOR, address = __pa(bounce);
	u32 status;

	outl(CBLK_SECTOR, sector);
	outl(CBLK_SECTOR + 4, sector >> 32);
	outl(CBLK_ADDRESS, address);
	outl(CBLK_ADDRESS + 4, address >> 32);
	outl(CBLK_COUNT, n / SECTOR);
	outl(CBLK_COMMAND, command);
	while ((status = inl(CBLK_COMMAND)) == 1)
		cpu_relax();
	outl(CBLK_ACK, 1);
	return status ? -EIO : 0;
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
