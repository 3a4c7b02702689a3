/* The processor as C sees it: descriptor tables, control registers, ports, interrupts. */
#ifndef _ASM_PROCESSOR_H
#define _ASM_PROCESSOR_H
#include <linux/percpu.h>
#include <linux/types.h>
#include <asm/layout.h>

struct x86_hw_tss {
	u32 reserved1;
	u64 sp0, sp1, sp2, reserved2, ist[7];
	u32 reserved3, reserved4;
	u16 reserved5, io_bitmap_base;
} __packed;
struct tss_struct { struct x86_hw_tss x86_tss; };
struct fixed_percpu_data { char gs_base[40]; unsigned long stack_canary; };
struct idt_bits { u16 ist : 3, zero : 5, type : 5, dpl : 2, p : 1; };
struct gate_struct { u16 offset_low, segment; struct idt_bits bits; u16 offset_middle; u32 offset_high, reserved; };
typedef struct gate_struct gate_desc;
struct cpuinfo_x86 { u8 x86, x86_vendor, x86_model, x86_stepping; char x86_vendor_id[16], x86_model_id[64]; unsigned long loops_per_jiffy; u16 cpu_index; };

/* Emergency stacks, each with a guard page below it. */
#define EXCEPTION_STKSZ 8192
struct cea_exception_stacks {
	char DF_stack_guard[4096], DF_stack[EXCEPTION_STKSZ];
	char NMI_stack_guard[4096], NMI_stack[EXCEPTION_STKSZ];
	char DB_stack_guard[4096], DB_stack[EXCEPTION_STKSZ];
	char MCE_stack_guard[4096], MCE_stack[EXCEPTION_STKSZ];
	char IST_top_guard[4096];
};
extern struct cea_exception_stacks exception_stacks; /* of the boot processor */
/* Where the guard pages lie, one below each stack. */
#define for_each_exception_guard(guard, stacks) \
	for (char *guard = (char *)(stacks); guard < (char *)((stacks) + 1); guard += PAGE_SIZE + EXCEPTION_STKSZ)
enum exception_stack_ordering { ESTACK_DF, ESTACK_NMI, ESTACK_DB, ESTACK_MCE, N_EXCEPTION_STACKS };

DECLARE_PER_CPU(struct fixed_percpu_data, fixed_percpu_data);
DECLARE_PER_CPU(struct tss_struct, cpu_tss_rw);
struct gdt_page { u64 gdt[10]; };
DECLARE_PER_CPU(struct gdt_page, gdt_page);
DECLARE_PER_CPU(void *, hardirq_stack_ptr);
DECLARE_PER_CPU(struct cea_exception_stacks *, cea_exception_stacks);
DECLARE_PER_CPU(struct cpuinfo_x86, cpu_info);
DECLARE_PER_CPU(unsigned long, cpu_current_top_of_stack);
extern gate_desc idt_table[256];
extern pgd_t init_top_pgt[512];

#define X86_EFLAGS_IF 0x200
#define X86_EFLAGS_DF 0x400
static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline void outsb(u16 port, const void *from, size_t n) { __asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(port) : "memory"); }
static inline void outw(u16 port, u16 v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u32 inl(u16 port) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
/* Only where the frame stands already: the compiler does not tell the unwinder of this push (Linux: ASM_CALL_CONSTRAINT). */
static inline unsigned long local_save_flags(void)
{
	unsigned long f;

	__asm__ volatile("pushfq; popq %0" : "=r"(f) : "r"(__builtin_frame_address(0)));
	return f;
}
static inline void local_irq_disable(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void local_irq_enable(void) { __asm__ volatile("sti" : : : "memory"); }
static inline unsigned long local_irq_save(void) { unsigned long f = local_save_flags(); local_irq_disable(); return f; }
static inline void local_irq_restore(unsigned long f) { if (f & X86_EFLAGS_IF) local_irq_enable(); }
static inline bool irqs_disabled(void) { return !(local_save_flags() & X86_EFLAGS_IF); }
static inline unsigned long read_cr0(void) { unsigned long v; __asm__ volatile("mov %%cr0, %0" : "=r"(v)); return v; }
static inline unsigned long read_cr2(void) { unsigned long v; __asm__ volatile("mov %%cr2, %0" : "=r"(v)); return v; }
static inline unsigned long read_cr3(void) { unsigned long v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)); return v; }
static inline unsigned long read_cr4(void) { unsigned long v; __asm__ volatile("mov %%cr4, %0" : "=r"(v)); return v; }
static inline void write_cr3(unsigned long v) { __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static inline void write_cr4(unsigned long v) { __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }
static inline void invlpg(unsigned long addr) { __asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory"); }
static inline u64 rdmsrl(u32 msr) { u32 a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(msr)); return a | (u64)d << 32; }
static inline void wrmsrl(u32 msr, u64 v) { __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32))); }
static inline u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return a | (u64)d << 32; }
static inline void cpuid(u32 leaf, u32 sub, u32 r[4]) { __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub)); }
static inline void cpu_relax(void) { __asm__ volatile("pause" : : : "memory"); }
static inline void stac(void) { if (read_cr4() & 0x200000) __asm__ volatile("stac" : : : "memory"); }
static inline void clac(void) { if (read_cr4() & 0x200000) __asm__ volatile("clac" : : : "memory"); }

#define X86_CR4_PGE 0x80UL
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

void cpu_init(void);
void mcheck_cpu_init(void);
void load_current_idt(void);
void stop_this_cpu(void) __noreturn;
void trap_init(void);
int irq_init_percpu_irqstack(int cpu);
void init_IRQ(void);
void time_init(void);
void setup_arch(void);
void dmi_setup(void);
u64 sched_clock(void);
extern unsigned int cpu_khz;
extern unsigned long long jiffies_64;
extern unsigned long volatile jiffies;
const char *hardware_name(void);
void machine_restart(const char *cmd) __noreturn;
void emergency_restart(void) __noreturn;
void machine_emergency_restart(void) __noreturn;
void machine_halt(void) __noreturn;
void mdelay(unsigned int ms);
void udelay(unsigned int us);
typedef void (*irq_handler_t)(int irq);
void request_irq(int irq, irq_handler_t handler);
#endif
