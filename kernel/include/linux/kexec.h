/* kexec: another kernel loaded beside this one, to be jumped into on reboot or on a crash (Linux include/linux/kexec.h). */
#ifndef _LINUX_KEXEC_H
#define _LINUX_KEXEC_H
#include <linux/sched.h>

typedef u32 note_buf_t[112];
DECLARE_PER_CPU(note_buf_t *, crash_notes);
extern int crashing_cpu;
bool kexec_should_crash(struct task_struct *p);
void crash_kexec(struct pt_regs *regs);
void __crash_kexec(struct pt_regs *regs);
void crash_save_cpu(struct pt_regs *regs, int cpu);
void crash_save_vmcoreinfo(void);
unsigned long paddr_vmcoreinfo_note(void);
#define VMCOREINFO_NOTE_SIZE (PAGE_SIZE + 64UL)

struct resource { u64 start, end; const char *name; }; /* [start, end], as in /proc/iomem */
extern struct resource crashk_res;
static inline bool crashk_reserved(void) { return crashk_res.end > crashk_res.start; }
/* Before the page allocator has its pages: takes what crashkernel= asks for out of the usable memory. */
void reserve_crashkernel(const char *cmdline, unsigned long lowest);
bool in_crashkernel(unsigned long phys);

#define KEXEC_ON_CRASH 1UL
#define KEXEC_ARCH_MASK 0xffff0000UL
#define KEXEC_ARCH_X86_64 (62UL << 16)
#define KEXEC_SEGMENT_MAX 16
#define KEXEC_FILE_UNLOAD 1UL
#define KEXEC_FILE_ON_CRASH 2UL
#define KEXEC_FILE_NO_INITRAMFS 4UL

struct kexec_segment { const void *buf; size_t bufsz; unsigned long mem; size_t memsz; };

/* An entry is a physical page address and what to do with it; pages of entries are chained by IND_INDIRECTION. */
typedef unsigned long kimage_entry_t;
#define IND_DESTINATION 1UL
#define IND_INDIRECTION 2UL
#define IND_DONE 4UL
#define IND_SOURCE 8UL

enum { KEXEC_TYPE_DEFAULT, KEXEC_TYPE_CRASH };
struct kimage {
	kimage_entry_t head, *entry, *last_entry;
	unsigned long start;			/* physical address to jump to */
	unsigned long control_pages;		/* physical: page tables, then the code that copies */
	int type;
	unsigned long nr_segments;
	struct kexec_segment segment[KEXEC_SEGMENT_MAX];
	struct page *pages[64];			/* pages of entries, for an ordinary image */
	int nr_pages;
};
extern struct kimage *kexec_image, *kexec_crash_image;

#define KEXEC_CONTROL_PAGES 4
/* Checks the segments; kexec_install() loads them, in place of the image that was there. NULL unloads. */
struct kimage *kimage_create(unsigned long start, int type, const struct kexec_segment *segments, unsigned long n);
int kexec_install(struct kimage **slot, struct kimage *image, bool from_user);
int kernel_kexec(void);

int machine_kexec_prepare(struct kimage *image);
void machine_kexec(struct kimage *image); /* does not return; callers must not be compiled as if they knew */

#define KEXEC_MAX_SHA_REGIONS 15
struct kexec_sha_region { u64 start, len; };
/* What purgatory finds at its start; its code follows (arch/x86/purgatory/entry64.S). */
struct purgatory_header {
	u8 entry[16];				/* jmp to the code */
	u64 kernel_entry, boot_params;
	u8 sha256_digest[32];
	u64 nr_regions;
	struct kexec_sha_region regions[KEXEC_MAX_SHA_REGIONS];
};
extern const u8 kexec_purgatory[], kexec_purgatory_end[];

/* /proc/vmcore of a crash kernel: where the first one left the ELF headers of its memory (elfcorehdr=). */
extern unsigned long elfcorehdr_addr;
#endif
