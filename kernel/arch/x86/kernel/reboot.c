/* Restart by the keyboard controller, port CF9h or a triple fault; halt. Mirrors Linux arch/x86/kernel/reboot.c and kernel/reboot.c. */
#include <asm/processor.h>
#include <linux/kernel.h>
#include <linux/kmsg_dump.h>
#include <linux/mm.h>
#include <linux/smp.h>

static char reboot_type = 'k', reboot_mode = 'c';
static bool reboot_force;

/*
 * `reboot=[w[arm]|c[old]][,t[riple]|k[bd]|p[ci]][,f[orce]]`: the first letter of each word counts. Of Linux's other types
 * (bios, acpi, efi) there is nothing here, and of its other modes nothing at all on this machine.
 */
static int reboot_setup(char *value)
{
	for (;;) {
		if (*value == 't' || *value == 'k' || *value == 'p')
			reboot_type = *value;
		if (*value == 'w' || *value == 'c')
			reboot_mode = *value;
		if (*value == 'f')
			reboot_force = true;
		value = strchr(value, ',');
		if (!value)
			return 1;
		value++;
	}
}
__setup("reboot=", reboot_setup);

void machine_emergency_restart(void)
{
	struct { u16 limit; unsigned long base; } __packed none = { 0, 0 };

	local_irq_disable();
	/* For firmware: whether it is to count memory. */
	*(u16 *)__va(0x472) = reboot_mode == 'w' ? 0x1234 : 0;
	if (reboot_type == 'k') {
		outb(0x64, 0xfe);
		mdelay(10);
	}
	if (reboot_type != 't') {
		outb(0xcf9, 2);
		outb(0xcf9, 6);
		mdelay(10);
	}
	__asm__ volatile("lidt %0; int3" : : "m"(none));
	for (;;)
		;
}

void emergency_restart(void)
{
	kmsg_dump(KMSG_DUMP_EMERG);
	machine_emergency_restart();
}

void machine_restart(const char *cmd)
{
	if (!reboot_force)
		smp_send_stop();
	machine_emergency_restart();
}

void machine_halt(void)
{
	smp_send_stop();
	local_irq_disable();
	for (;;)
		__asm__ volatile("hlt");
}
