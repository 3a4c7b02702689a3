/* Time: a clock from the TSC, the calendar from the RTC, the tick's rate. Mirrors Linux arch/x86/kernel/time.c and tsc.c. */
#include <asm/apic.h>
#include <linux/module.h>
#include <linux/sched.h>

#define PIT_HZ 1193182
unsigned int cpu_khz = 1000000;
struct timekeeper { u64 xtime_sec; unsigned long ktime_sec; };
struct timekeeper shadow_timekeeper;
static u64 tsc_start;

u64 sched_clock(void)
{
	u64 cycles = rdtsc() - tsc_start;

	if (!tsc_start) /* messages before the clock runs are stamped 0, as in Linux */
		return 0;
	return cycles / cpu_khz * 1000000 + cycles % cpu_khz * 1000000 / cpu_khz;
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

/*
 * Rates of the TSC and of the local APIC's timer: from CPUID, whose crystal drives both, or both counted over
 * 10 ms of the PIT's channel 2 (Linux: native_calibrate_tsc, quick_pit_calibrate).
 */
static void calibrate(void)
{
	u32 r[4];
	u64 start;

	cpuid(0, 0, r);
	if (r[0] >= 0x15) {
		cpuid(0x15, 0, r);
		if (r[0] && r[1] && r[2]) {
			cpu_khz = (u64)r[2] * r[1] / r[0] / 1000;
			lapic_timer_khz = r[2] / 1000;
			return;
		}
	}
	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, (PIT_HZ / 100) & 0xff);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, APIC_LVT_MASKED | LOCAL_TIMER_VECTOR);
	outb(0x42, (PIT_HZ / 100) >> 8);
	apic_write(APIC_TMICT, 0xffffffff);
	start = rdtsc();
	while (!(inb(0x61) & 0x20))
		;
	cpu_khz = (rdtsc() - start) / 10;
	lapic_timer_khz = (0xffffffff - apic_read(APIC_TMCCT)) / 10;
	apic_write(APIC_TMICT, 0);
}

void time_init(void)
{
	calibrate();
	tsc_start = rdtsc();
	printk("tsc: Detected %u.%03u MHz processor\n", cpu_khz / 1000, cpu_khz % 1000);
	shadow_timekeeper.xtime_sec = read_rtc();
	setup_APIC_timer();
}

void udelay(unsigned int us)
{
	u64 end = rdtsc() + (u64)us * cpu_khz / 1000;

	while (rdtsc() < end)
		cpu_relax();
}

void mdelay(unsigned int ms)
{
	u64 end = rdtsc() + (u64)ms * cpu_khz;

	while (rdtsc() < end)
		cpu_relax();
}
EXPORT_SYMBOL(mdelay);
EXPORT_SYMBOL(udelay);
EXPORT_SYMBOL(sched_clock);
