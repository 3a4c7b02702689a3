/* Crash dumps: what is saved, and the jump into the crash kernel. */
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
#endif
