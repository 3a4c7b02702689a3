/* The local APICs and the I/O APIC. Mirrors Linux arch/x86/include/asm/{apicdef,irq_vectors}.h. */
#ifndef _ASM_APIC_H
#define _ASM_APIC_H
#include <asm/processor.h>

#define LOCAL_TIMER_VECTOR 0xec
#define REBOOT_VECTOR 0xf8
#define CALL_FUNCTION_SINGLE_VECTOR 0xfb
#define CALL_FUNCTION_VECTOR 0xfc
#define RESCHEDULE_VECTOR 0xfd
#define ERROR_APIC_VECTOR 0xfe
#define SPURIOUS_APIC_VECTOR 0xff
#define NMI_VECTOR 2

#define APIC_ID 0x20
#define APIC_TASKPRI 0x80
#define APIC_EOI 0xb0
#define APIC_SPIV 0xf0
#define APIC_ICR 0x300
#define APIC_ICR2 0x310
#define APIC_LVTT 0x320
#define APIC_LVT0 0x350
#define APIC_LVT1 0x360
#define APIC_LVTERR 0x370
#define APIC_TMICT 0x380
#define APIC_TMCCT 0x390
#define APIC_TDCR 0x3e0
#define APIC_DM_FIXED 0x000
#define APIC_DM_NMI 0x400
#define APIC_DM_INIT 0x500
#define APIC_DM_STARTUP 0x600
#define APIC_DM_EXTINT 0x700
#define APIC_INT_ASSERT 0x4000
#define APIC_LVT_MASKED 0x10000

static inline u32 apic_read(u32 reg) { return *(volatile u32 *)(FIX_APIC_BASE + reg); }
static inline void apic_write(u32 reg, u32 v) { *(volatile u32 *)(FIX_APIC_BASE + reg) = v; }
static inline void ack_APIC_irq(void) { apic_write(APIC_EOI, 0); }

extern int cpu_apicid[NR_CPUS];
extern int processors_found;
extern unsigned int lapic_timer_khz;
void get_smp_config(void);
bool acpi_parse_madt(void);
void init_apic_mappings(void);
void setup_local_APIC(void);
void setup_APIC_timer(void);
void apic_send_IPI(int cpu, int vector);
void apic_icr_write(u32 low, u32 apicid);
/* The 8254's tick as an NMI to every CPU, or as nothing. */
void setup_nmi_clock(bool on);
#endif
