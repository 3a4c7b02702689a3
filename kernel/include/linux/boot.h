/* What the boot loader told us, whichever protocol it spoke. */
#ifndef _LINUX_BOOT_H
#define _LINUX_BOOT_H
#include <linux/types.h>
struct e820_entry { u64 addr, size; u32 type; } __packed;
#define E820_RAM 1
#define E820_RESERVED 2
#define E820_ACPI 3
#define E820_MAX 32
extern struct e820_entry e820_table[E820_MAX];
extern int e820_count;
extern unsigned long initrd_start, initrd_size; /* physical */
extern char boot_command_line[2048];
void e820_print(void);
void e820_finish_early_params(void);
/* Whether any byte of the range is of this type. */
bool e820_any_mapped(u64 start, u64 end, u32 type);
void start_kernel(void);
#endif
