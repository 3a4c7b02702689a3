/* Restart through the keyboard controller, else a triple fault; halt. Mirrors Linux arch/x86/kernel/reboot.c. */
#include <asm/processor.h>
#include <linux/kernel.h>

void machine_restart(const char *cmd)
{
	struct { u16 limit; unsigned long base; } __packed none = { 0, 0 };

	local_irq_disable();
	outb(0x64, 0xfe);
	mdelay(10);
	__asm__ volatile("lidt %0; int3" : : "m"(none));
	for (;;)
		;
}

void machine_halt(void)
{
	local_irq_disable();
	for (;;)
		__asm__ volatile("hlt");
}
