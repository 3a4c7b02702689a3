/*
 * Which processors there are, from the ACPI table "APIC" (MADT): QEMU's firmware lists every core there, but in
 * the MP table only one of a package. Mirrors Linux arch/x86/kernel/acpi/boot.c.
 */
#include <asm/apic.h>
#include <linux/kernel.h>
#include <linux/mm.h>

/* Tables lie in the first GiB, which is mapped; any other address is refused. */
static const u8 *table_at(u32 physical, const char *signature)
{
	const u8 *table = __va(physical);

	if (!physical || physical >= 0x40000000 - 0x10000 || memcmp(table, signature, 4) || *(const u32 *)(table + 4) > 0x10000)
		return NULL;
	return table;
}

static const u8 *find_rsdt(void)
{
	for (const u8 *p = __va(0xe0000); p < (const u8 *)__va(0x100000); p += 16) {
		u8 sum = 0;

		if (memcmp(p, "RSD PTR ", 8))
			continue;
		for (int i = 0; i < 20; i++)
			sum += p[i];
		if (!sum)
			return table_at(*(const u32 *)(p + 16), "RSDT");
	}
	return NULL;
}

/* False when there is no such table. */
bool acpi_parse_madt(void)
{
	const u8 *rsdt = find_rsdt(), *madt = NULL, *at, *end;
	u32 boot_id = apic_read(APIC_ID) >> 24;
	int found = 1;

	for (u32 i = 36; rsdt && !madt && i + 4 <= *(const u32 *)(rsdt + 4); i += 4)
		madt = table_at(*(const u32 *)(rsdt + i), "APIC");
	if (!madt)
		return false;
	cpu_apicid[0] = boot_id;
	end = madt + *(const u32 *)(madt + 4);
	for (at = madt + 44; at + 8 <= end && at[1] >= 2; at += at[1])
		if (at[0] == 0 && *(const u32 *)(at + 4) & 1 && at[3] != boot_id && found < NR_CPUS)
			cpu_apicid[found++] = at[3];
	processors_found = found;
	return true;
}
