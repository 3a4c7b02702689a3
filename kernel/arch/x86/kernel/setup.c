/*
 * From the loader's information to a kernel that knows its memory: boot_params (Linux boot protocol) or
 * hvm_start_info (PVH), the processor's tables, DMI. Mirrors Linux arch/x86/kernel/setup.c and platform/pvh.
 */
#include <asm/processor.h>
#include <linux/boot.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

struct fixed_percpu_data fixed_percpu_data __attribute__((section(".data..percpu..first"), used));
DEFINE_PER_CPU(unsigned long, this_cpu_off);
DEFINE_PER_CPU(int, cpu_number);
DEFINE_PER_CPU(int, __preempt_count);
DEFINE_PER_CPU(void *, hardirq_stack_ptr);
DEFINE_PER_CPU(unsigned long, cpu_current_top_of_stack);
DEFINE_PER_CPU(struct tss_struct, cpu_tss_rw);
DEFINE_PER_CPU(struct gdt_page, gdt_page);
DEFINE_PER_CPU(struct cea_exception_stacks *, cea_exception_stacks);
DEFINE_PER_CPU(struct cpuinfo_x86, cpu_info);
struct cea_exception_stacks exception_stacks __aligned(4096);

unsigned long __per_cpu_offset[NR_CPUS];
struct cpumask __cpu_possible_mask, __cpu_present_mask, __cpu_online_mask, __cpu_active_mask;
unsigned int nr_cpu_ids = 1, nr_node_ids = 1, nr_irqs = 16;
unsigned long phys_base __attribute__((section(".data"))); /* set by head_64.S, before bss is cleared */

struct e820_entry e820_table[E820_MAX];
int e820_count;
unsigned long initrd_start, initrd_size;
char boot_command_line[2048];
static char dmi_hardware[160];

struct hvm_start_info { u32 magic, version, flags, nr_modules; u64 modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr; u32 memmap_entries, reserved; };
struct hvm_modlist_entry { u64 paddr, size, cmdline_paddr, reserved; };
struct hvm_memmap_entry { u64 addr, size; u32 type, reserved; };

static void from_boot_params(const u8 *p)
{
	e820_count = min((int)p[0x1e8], E820_MAX);
	memcpy(e820_table, p + 0x2d0, e820_count * sizeof(e820_table[0]));
	initrd_start = *(const u32 *)(p + 0x218);
	initrd_size = *(const u32 *)(p + 0x21c);
	if (*(const u32 *)(p + 0x228))
		strscpy(boot_command_line, __va(*(const u32 *)(p + 0x228)), sizeof(boot_command_line));
}

static void from_pvh(const struct hvm_start_info *info)
{
	const struct hvm_memmap_entry *map = __va(info->memmap_paddr);

	for (u32 i = 0; i < info->memmap_entries && e820_count < E820_MAX; i++)
		e820_table[e820_count++] = (struct e820_entry){ map[i].addr, map[i].size, map[i].type };
	if (info->nr_modules) {
		const struct hvm_modlist_entry *module = __va(info->modlist_paddr);

		initrd_start = module->paddr;
		initrd_size = module->size;
	}
	if (info->cmdline_paddr)
		strscpy(boot_command_line, __va(info->cmdline_paddr), sizeof(boot_command_line));
}

/* SMBIOS: vendor, product and BIOS strings make the `Hardware name:` line (Linux drivers/firmware/dmi_scan.c). */
static const char *dmi_string(const u8 *structure, int index)
{
	const char *s = (const char *)structure + structure[1];

	if (!index)
		return "";
	while (--index && *s)
		s += strlen(s) + 1;
	return s;
}

void dmi_setup(void)
{
	const char *vendor = "", *product = "", *bios = "", *date = "";
	const u8 *at = NULL, *table, *end;

	for (const u8 *p = __va(0xf0000); p < (u8 *)__va(0x100000); p += 16)
		if (!memcmp(p, "_DMI_", 5) || (!memcmp(p, "_SM_", 4) && !memcmp(p + 16, "_DMI_", 5) && (at = p + 16))) {
			at = at ? at : p;
			break;
		}
	if (!at)
		return;
	table = __va(*(const u32 *)(at + 8));
	end = table + *(const u16 *)(at + 6);
	while (table + 4 <= end) {
		const u8 *next = table + table[1];

		if (table[0] == 0) {
			bios = dmi_string(table, table[5]);
			date = dmi_string(table, table[8]);
		} else if (table[0] == 1) {
			vendor = dmi_string(table, table[4]);
			product = dmi_string(table, table[5]);
		}
		while (next + 1 < end && (next[0] || next[1]))
			next++;
		table = next + 2;
	}
	snprintf(dmi_hardware, sizeof(dmi_hardware), "%s %s, BIOS %s %s", vendor, product, bios, date);
	printk("DMI: %s\n", dmi_hardware);
}

const char *hardware_name(void)
{
	return dmi_hardware;
}

/* Tables and registers of the CPU that runs this: its GDT with its TSS, emergency stacks, features, SYSCALL. */
void cpu_init(void)
{
	extern char __per_cpu_boot[];
	extern u64 early_gdt[];
	extern void entry_SYSCALL_64(void);
	struct { u16 limit; u64 base; } __packed pointer;
	struct cea_exception_stacks *stacks;
	struct cpuinfo_x86 *info;
	struct tss_struct *tss;
	u64 base, *ist, *gdt;
	u32 r[4];

	if (!__per_cpu_offset[0]) { /* the boot processor: its area is the image's own */
		__per_cpu_offset[0] = (unsigned long)__per_cpu_boot;
		this_cpu_write(this_cpu_off, (unsigned long)__per_cpu_boot);
		__cpu_possible_mask.bits[0] = __cpu_present_mask.bits[0] = __cpu_online_mask.bits[0] = __cpu_active_mask.bits[0] = 1;
		this_cpu_write(cea_exception_stacks, &exception_stacks);
	}
	stacks = this_cpu_read(cea_exception_stacks);
	tss = this_cpu_ptr(&cpu_tss_rw);
	ist = (u64 *)((char *)tss + offsetof(struct x86_hw_tss, ist));
	ist[ESTACK_DF] = (u64)stacks->NMI_stack_guard;
	ist[ESTACK_NMI] = (u64)stacks->DB_stack_guard;
	ist[ESTACK_DB] = (u64)stacks->MCE_stack_guard;
	ist[ESTACK_MCE] = (u64)stacks->IST_top_guard;
	tss->x86_tss.io_bitmap_base = sizeof(*tss);
	tss->x86_tss.sp0 = (u64)current->stack + THREAD_SIZE;
	this_cpu_write(cpu_current_top_of_stack, (unsigned long)current->stack + THREAD_SIZE);
	gdt = this_cpu_ptr(&gdt_page)->gdt;
	memcpy(gdt, early_gdt, sizeof(struct gdt_page));
	base = (u64)tss;
	gdt[8] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | 0x890000000000ull | (base >> 24 & 0xff) << 56;
	gdt[9] = base >> 32;
	pointer.limit = sizeof(struct gdt_page) - 1;
	pointer.base = (u64)gdt;
	__asm__ volatile("lgdt %0; ltr %w1; lldt %w2" : : "m"(pointer), "r"(GDT_TSS), "r"(0));
	cpuid(7, 0, r);
	write_cr4(read_cr4() | (r[1] & 1 << 7 ? 0x100000 : 0) | (r[1] & 1 << 20 ? 0x200000 : 0));
	mcheck_cpu_init();
	info = this_cpu_ptr(&cpu_info);
	info->cpu_index = smp_processor_id();
	cpuid(0, 0, r);
	memcpy(info->x86_vendor_id, &r[1], 4);
	memcpy(info->x86_vendor_id + 4, &r[3], 4);
	memcpy(info->x86_vendor_id + 8, &r[2], 4);
	for (u32 i = 0; i < 3; i++) {
		cpuid(0x80000002 + i, 0, r);
		memcpy(info->x86_model_id + 16 * i, r, 16);
	}
	wrmsrl(MSR_STAR, (u64)(__USER_CS - 16) << 48 | (u64)__KERNEL_CS << 32);
	wrmsrl(MSR_LSTAR, (u64)entry_SYSCALL_64);
	wrmsrl(MSR_SYSCALL_MASK, 0x257fd5);
	kasan_init_cpu();
}

void x86_64_start_kernel(unsigned long info, int is_pvh);
__attribute__((no_stack_protector)) void x86_64_start_kernel(unsigned long info, int is_pvh)
{
	memset(__bss_start, 0, __bss_stop - __bss_start);
	kasan_early_init();
	if (is_pvh)
		from_pvh(__va(info));
	else
		from_boot_params(__va(info));
	this_cpu_write(current_task, &init_task);
	start_kernel();
	__builtin_unreachable();
}
EXPORT_SYMBOL(phys_base);
EXPORT_SYMBOL(this_cpu_off);
EXPORT_SYMBOL(cpu_number);
EXPORT_SYMBOL(__preempt_count);
