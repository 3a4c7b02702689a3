/*
 * Which processors there are, where there is no ACPI: the MP configuration table, as this project's loader leaves
 * it in memory. Mirrors Linux arch/x86/kernel/mpparse.c.
 */
#include <asm/apic.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/smp.h>

int cpu_apicid[NR_CPUS];
int processors_found = 1;

static const u8 *find_pointer(unsigned long base, unsigned long length)
{
	for (const u8 *p = __va(base); length >= 16; p += 16, length -= 16) {
		u8 sum = 0;

		if (memcmp(p, "_MP_", 4))
			continue;
		for (int i = 0; i < 16; i++)
			sum += p[i];
		if (!sum)
			return p;
	}
	return NULL;
}

/* Entries: 0 a processor of 20 bytes, all others 8. */
void get_smp_config(void)
{
	unsigned long ebda = *(const u16 *)__va(0x40e) << 4;
	const u8 *p = NULL, *table, *at, *end;
	u32 physical;
	int boot_seen = 0;

	if (acpi_parse_madt())
		return;
	if (ebda >= 0x80000 && ebda < 0xa0000)
		p = find_pointer(ebda, 1024);
	if (!p)
		p = find_pointer(639 << 10, 1024);
	if (!p)
		p = find_pointer(0xf0000, 0x10000);
	physical = p ? *(const u32 *)(p + 4) : 0;
	if (!physical || physical >= 0x40000000)
		return;
	table = __va(physical);
	if (memcmp(table, "PCMP", 4))
		return;
	end = table + *(const u16 *)(table + 4);
	for (at = table + 44; at < end; at += at[0] ? 8 : 20) {
		if (at[0])
			continue;
		if (!(at[3] & 1))
			continue;
		if (at[3] & 2) {
			cpu_apicid[0] = at[1];
			boot_seen = 1;
		} else if (processors_found < NR_CPUS)
			cpu_apicid[processors_found++] = at[1];
	}
	if (!boot_seen)
		processors_found = 1;
}

/* `nosmp`, `maxcpus=`, `nr_cpus=` */
unsigned int setup_max_cpus = NR_CPUS;
static unsigned int cpu_limit = NR_CPUS;

static int nosmp(char *value)
{
	setup_max_cpus = 0;
	return 1;
}
__setup("nosmp", nosmp);

static int maxcpus(char *value)
{
	setup_max_cpus = simple_strtoul(value, NULL, 0);
	return 1;
}
__setup("maxcpus=", maxcpus);

static int nrcpus(char *value)
{
	unsigned int n = simple_strtoul(value, NULL, 0);

	if (n > 0 && n < cpu_limit)
		cpu_limit = n;
	return 1;
}
__setup("nr_cpus=", nrcpus);

void smp_prepare_cpus(void)
{
	processors_found = min(processors_found, (int)cpu_limit);
	nr_cpu_ids = processors_found;
	__cpu_possible_mask.bits[0] = __cpu_present_mask.bits[0] = (1UL << processors_found) - 1;
}
