/*
 * Interrupts and time: the 8259 pair, the 8254 at 1000 Hz, a clock from the TSC. Mirrors Linux arch/x86/kernel/
 * irq.c, i8259.c, time.c and tsc.c.
 */
#include <asm/processor.h>
#include <linux/sched.h>

#define PIT_HZ 1193182
unsigned long long jiffies_64 = (unsigned long long)(unsigned int)(-300 * HZ);
extern unsigned long volatile jiffies __attribute__((alias("jiffies_64")));
unsigned int cpu_khz = 1000000;
unsigned long avenrun[3];
struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; };
struct timekeeper shadow_timekeeper;
static u64 tsc_start;
static unsigned long ticks;
static irq_handler_t handlers[16];
unsigned long irq_counts[16];

u64 sched_clock(void)
{
	u64 cycles = rdtsc() - tsc_start;

	if (!tsc_start) /* messages before the clock runs are stamped 0, as in Linux */
		return 0;
	return cycles / cpu_khz * 1000000 + cycles % cpu_khz * 1000000 / cpu_khz;
}

static void timer_interrupt(int irq)
{
	jiffies_64++;
	if (++ticks % HZ == 0)
		shadow_timekeeper.xtime_sec++;
	scheduler_tick();
}

void request_irq(int irq, irq_handler_t handler)
{
	u16 port = irq < 8 ? 0x21 : 0xa1;

	handlers[irq] = handler;
	outb(port, inb(port) & ~(1 << (irq & 7)));
	if (irq >= 8)
		outb(0x21, inb(0x21) & ~4);
}

static noinline void handle_edge_irq(int irq)
{
	irq_counts[irq]++;
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
	if (handlers[irq])
		handlers[irq](irq);
}

void common_interrupt(struct pt_regs *regs, unsigned long vector);
noinline void common_interrupt(struct pt_regs *regs, unsigned long vector)
{
	preempt_count_add(HARDIRQ_OFFSET);
	handle_edge_irq((int)vector - 0x20);
	preempt_count_add(-HARDIRQ_OFFSET);
}

void init_IRQ(void)
{
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, 0x28);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

static u8 cmos(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

static int bcd(u8 v)
{
	return (v >> 4) * 10 + (v & 15);
}

/* Seconds since 1970 from the RTC's calendar (Linux mktime64). */
static u64 read_rtc(void)
{
	int year = 2000 + bcd(cmos(9)), mon = bcd(cmos(8)) - 2, day = bcd(cmos(7));

	if (mon <= 0) {
		mon += 12;
		year--;
	}
	return ((((u64)(year / 4 - year / 100 + year / 400 + 367 * mon / 12 + day) + year * 365 - 719499) * 24 + bcd(cmos(4))) * 60 +
		bcd(cmos(2))) * 60 + bcd(cmos(0));
}

/* The TSC's rate from CPUID, or counted over 10 ms of the PIT's channel 2 (Linux: quick_pit_calibrate). */
static void calibrate_tsc(void)
{
	u32 r[4];
	u64 start;

	cpuid(0, 0, r);
	if (r[0] >= 0x15) {
		cpuid(0x15, 0, r);
		if (r[0] && r[1] && r[2]) {
			cpu_khz = (u64)r[2] * r[1] / r[0] / 1000;
			return;
		}
	}
	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, (PIT_HZ / 100) & 0xff);
	outb(0x42, (PIT_HZ / 100) >> 8);
	start = rdtsc();
	while (!(inb(0x61) & 0x20))
		;
	cpu_khz = (rdtsc() - start) / 10;
}

void time_init(void)
{
	calibrate_tsc();
	tsc_start = rdtsc();
	printk("tsc: Detected %u.%03u MHz processor\n", cpu_khz / 1000, cpu_khz % 1000);
	shadow_timekeeper.xtime_sec = read_rtc();
	outb(0x43, 0x34);
	outb(0x40, (PIT_HZ / HZ) & 0xff);
	outb(0x40, (PIT_HZ / HZ) >> 8);
	request_irq(0, timer_interrupt);
}

void mdelay(unsigned int ms)
{
	u64 end = rdtsc() + (u64)ms * cpu_khz;

	while (rdtsc() < end)
		cpu_relax();
}
