/*
 * The channel to the host: a page of words and a port that rings. The host answers while the guest stands still,
 * and asks for something by interrupt 11. Absent on other machines, where /dev/crashlab does not appear.
 */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/netpoll.h>
#include <linux/notifier.h>

#define DOORBELL_ID 0x5c0
#define DOORBELL_LOW 0x5c4
#define DOORBELL_HIGH 0x5c8
#define DOORBELL_RING 0x5cc
#define DOORBELL_MAGIC 0x42414c43 /* "CLAB" */
#define DOORBELL_IRQ 11

enum { HELLO = 1, READY, FETCH, PANIC_NOTIFY, REPLY, NETCONSOLE, DUMP_OPTIONS, DUMPED };
enum { REGISTER_NOTIFIER = 0x101, UNREGISTER_NOTIFIER };
/* ioctls of /dev/crashlab: user space is up; how is the dump wanted (words of makedumpfile); the dump is done (its status) */
enum { CRASHLAB_READY = 1, CRASHLAB_DUMP_OPTIONS, CRASHLAB_DUMPED };
#define DUMP_OPTIONS_SIZE 256

struct request { u32 command, length; u64 args[6]; u64 reserved; char bytes[PAGE_SIZE - 64]; };
_Static_assert(sizeof(struct request) == PAGE_SIZE, "a request is one page");
static struct request page __aligned(4096);

struct host_notifier { struct notifier_block nb; u64 id; char name[32]; struct host_notifier *next; };
static struct host_notifier *notifiers;

static u32 ring(u32 command)
{
	page.command = command;
	outl(DOORBELL_LOW, (u32)__pa(&page));
	outl(DOORBELL_HIGH, __pa(&page) >> 32);
	outl(DOORBELL_RING, command);
	return inl(DOORBELL_RING);
}

bool doorbell_present(void)
{
	return inl(DOORBELL_ID) == DOORBELL_MAGIC;
}

/* A page of its own: messages are printed while the other is being filled. */
void doorbell_datagram(u32 local_ip, u32 remote_ip, u32 ports, u64 mac, const char *bytes, u32 n)
{
	static struct request datagram __aligned(4096);

	datagram.command = NETCONSOLE;
	datagram.length = min((size_t)n, sizeof(datagram.bytes));
	datagram.args[0] = local_ip;
	datagram.args[1] = remote_ip;
	datagram.args[2] = ports;
	datagram.args[3] = mac;
	memcpy(datagram.bytes, bytes, datagram.length);
	outl(DOORBELL_LOW, (u32)__pa(&datagram));
	outl(DOORBELL_HIGH, __pa(&datagram) >> 32);
	outl(DOORBELL_RING, NETCONSOLE);
	inl(DOORBELL_RING);
}

/* A notifier of the panic chain that the host registered: its callback runs there, with the message. */
static int host_panic_notify(struct notifier_block *nb, unsigned long action, void *message)
{
	struct host_notifier *notifier = container_of(nb, struct host_notifier, nb);

	page.args[0] = notifier->id;
	page.args[1] = action;
	page.length = strscpy(page.bytes, message, sizeof(page.bytes));
	return ring(PANIC_NOTIFY);
}

static long register_notifier(void)
{
	struct host_notifier *notifier = kzalloc(sizeof(*notifier), GFP_KERNEL);

	if (!notifier)
		return -ENOMEM;
	notifier->id = page.args[0];
	notifier->nb.priority = (int)page.args[1];
	notifier->nb.notifier_call = host_panic_notify;
	strscpy(notifier->name, page.bytes, min((size_t)page.length + 1, sizeof(notifier->name)));
	notifier->next = notifiers;
	notifiers = notifier;
	return atomic_notifier_chain_register(&panic_notifier_list, &notifier->nb);
}

static long unregister_notifier(void)
{
	for (struct host_notifier **link = &notifiers; *link; link = &(*link)->next)
		if ((*link)->id == page.args[0]) {
			struct host_notifier *gone = *link;

			*link = gone->next;
			atomic_notifier_chain_unregister(&panic_notifier_list, &gone->nb);
			kfree(gone);
			return 0;
		}
	return -ENOENT;
}

static void doorbell_interrupt(int irq)
{
	while (ring(FETCH), page.command) {
		u64 sequence = page.args[5];
		long status = page.command == REGISTER_NOTIFIER ? register_notifier() :
			      page.command == UNREGISTER_NOTIFIER ? unregister_notifier() : -ENOSYS;

		page.args[0] = sequence;
		page.args[1] = status;
		ring(REPLY);
	}
}

static long crashlab_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case CRASHLAB_READY:
		ring(READY);
		return 0;
	case CRASHLAB_DUMP_OPTIONS:
		if (ring(DUMP_OPTIONS) || !page.length || page.length >= DUMP_OPTIONS_SIZE)
			return 0; /* no wish: the program's own choice stands */
		page.bytes[page.length] = 0;
		return copy_to_user((void __user *)arg, page.bytes, page.length + 1) ? -EFAULT : 0;
	case CRASHLAB_DUMPED:
		page.args[0] = arg;
		ring(DUMPED);
		return 0;
	}
	return -ENOTTY;
}
static const struct file_operations crashlab_fops = { .ioctl = crashlab_ioctl };

static int crashlab_doorbell_init(void)
{
	if (!doorbell_present())
		return -ENODEV;
	page.args[0] = 1; /* protocol version */
	ring(HELLO);
	request_irq(DOORBELL_IRQ, doorbell_interrupt);
	register_chrdev_node("crashlab", 10 << 8 | 200, &crashlab_fops);
	return 0;
}
device_initcall(crashlab_doorbell_init);
