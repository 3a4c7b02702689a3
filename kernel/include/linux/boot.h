/* What the boot loader told us, whichever protocol it spoke. */
#ifndef _LINUX_BOOT_H
#define _LINUX_BOOT_H
#include <linux/types.h>
struct e820_entry { u64 addr, size; u32 type; } __packed;
#define E820_RAM 1
#define E820_MAX 32
extern struct e820_entry e820_table[E820_MAX];
extern int e820_count;
extern unsigned long initrd_start, initrd_size; /* physical */
extern char boot_command_line[2048];
void start_kernel(void);
#endif
