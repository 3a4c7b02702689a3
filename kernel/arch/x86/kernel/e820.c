/*
 * The map of physical memory: what the firmware said, and what `memmap=` takes out of it. Mirrors Linux
 * arch/x86/kernel/e820.c.
 */
#include <linux/boot.h>
#include <linux/kernel.h>

static bool changed;

static void print_table(const char *who)
{
	static const char *const types[] = { "", "usable", "reserved", "ACPI data", "ACPI NVS" };

	for (int i = 0; i < e820_count; i++)
		pr_info("%s: [mem 0x%016lx-0x%016lx] %s\n", who, (unsigned long)e820_table[i].addr,
			(unsigned long)(e820_table[i].addr + e820_table[i].size - 1),
			e820_table[i].type < ARRAY_SIZE(types) ? types[e820_table[i].type] : "unknown");
}

void e820_print(void)
{
	pr_info("BIOS-provided physical RAM map:\n");
	print_table("BIOS-e820");
}

/* After the early parameters: the map that they left. */
void e820_finish_early_params(void)
{
	if (!changed)
		return;
	pr_info("user-defined physical RAM map:\n");
	print_table("user");
}

static void insert(int at, u64 start, u64 end, u32 type)
{
	memmove(&e820_table[at + 1], &e820_table[at], (e820_count - at) * sizeof(e820_table[0]));
	e820_table[at] = (struct e820_entry){ start, end - start, type };
	e820_count++;
}

/* The range is of this type from now on. Cutting an entry in two takes one more place, the new one another. */
static void override(u64 start, u64 end, u32 type)
{
	int at = 0;

	if (e820_count + 2 > E820_MAX || end <= start)
		return;
	for (int i = 0; i < e820_count; i++) {
		struct e820_entry *e = &e820_table[i];
		u64 e_end = e->addr + e->size;

		if (e_end <= start || e->addr >= end)
			continue;
		if (e->addr < start && e_end > end) {
			insert(i + 1, end, e_end, e->type);
			e->size = start - e->addr;
			break;
		}
		if (e->addr < start)
			e->size = start - e->addr;
		else if (e_end > end) {
			e->size = e_end - end;
			e->addr = end;
		} else {
			memmove(e, e + 1, (--e820_count - i) * sizeof(*e));
			i--;
		}
	}
	while (at < e820_count && e820_table[at].addr < start)
		at++;
	insert(at, start, end, type);
	changed = true;
}

static u64 memparse(const char *s, char **end)
{
	u64 value = simple_strtoul(s, end, 0);

	switch (**end | 32) {
	case 'g':
		value <<= 10; /* fallthrough */
	case 'm':
		value <<= 10; /* fallthrough */
	case 'k':
		value <<= 10;
		++*end;
	}
	return value;
}

/* `memmap=SIZE$START` reserves, `memmap=SIZE#START` gives to ACPI; several by commas. */
static int parse_memmap_opt(char *value)
{
	for (char *at = value;;) {
		u64 size = memparse(at, &at), start;
		char kind = *at;

		if (kind != '$' && kind != '#')
			return 0;
		start = memparse(at + 1, &at);
		override(start, start + size, kind == '$' ? E820_RESERVED : E820_ACPI);
		if (*at++ != ',')
			return 1;
	}
}
early_param("memmap=", parse_memmap_opt);

bool e820_any_mapped(u64 start, u64 end, u32 type)
{
	for (int i = 0; i < e820_count; i++)
		if (e820_table[i].type == type && e820_table[i].addr < end && e820_table[i].addr + e820_table[i].size > start)
			return true;
	return false;
}
