/*
 * Tells the machine below that this kernel has panicked. Mirrors Linux drivers/misc/pvpanic; where Linux learns of the
 * port from ACPI, this asks for it at its usual place: no device there reads all ones.
 */
#include <asm/processor.h>
#include <linux/kernel.h>
#include <linux/kexec.h>
#include <linux/notifier.h>

#define PVPANIC_PORT 0x505
#define PVPANIC_PANICKED 1
#define PVPANIC_CRASH_LOADED 2
static u8 capability;

static int pvpanic_panic_notify(struct notifier_block *nb, unsigned long code, void *unused)
{
	u8 event = kexec_crash_image ? PVPANIC_CRASH_LOADED : PVPANIC_PANICKED;

	if (event & capability)
		outb(PVPANIC_PORT, event);
	return NOTIFY_DONE;
}

/* Ahead of whoever may not come back. */
static struct notifier_block pvpanic_panic_nb = { .notifier_call = pvpanic_panic_notify, .priority = 0x7fffffff };

static int pvpanic_init(void)
{
	capability = inb(PVPANIC_PORT);
	if (capability == 0xff || !(capability & (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)))
		return -ENODEV;
	return atomic_notifier_chain_register(&panic_notifier_list, &pvpanic_panic_nb);
}
device_initcall(pvpanic_init);
