/*
 * Every way into the kernel and out of it. All of it leaves the same picture on the stack:
 *
 *      top  ss sp flags cs ip   pushed by the processor (or here, for SYSCALL)
 *           orig_ax             error code or system call number
 *           di si dx cx ax r8-r11 bx bp r12-r15   <- struct pt_regs
 *
 * Unwind information is plain CFI; the build turns it into ORC. CFA = end of the processor's frame.
 * Mirrors Linux arch/x86/entry/entry_64.S.
 */
#include <asm/layout.h>
	.cfi_sections .eh_frame
	.section .entry.text, "ax"

	.macro PUSH_REG r
	pushq	%\r
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \r, 0
	.endm
	.macro POP_REG r
	popq	%\r
	.cfi_adjust_cfa_offset -8
	.cfi_restore \r
	.endm
	.macro PUSH_REGS
	PUSH_REG rdi
	PUSH_REG rsi
	PUSH_REG rdx
	PUSH_REG rcx
	PUSH_REG rax
	PUSH_REG r8
	PUSH_REG r9
	PUSH_REG r10
	PUSH_REG r11
	PUSH_REG rbx
	PUSH_REG rbp
	PUSH_REG r12
	PUSH_REG r13
	PUSH_REG r14
	PUSH_REG r15
	leaq	1(%rsp), %rbp			/* for frame pointers: here lie registers (Linux: ENCODE_FRAME_POINTER) */
	.endm
	.macro IRET_FRAME words
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsp, 40 + 8 * \words
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	.endm
	.macro ALL_SAVED
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsp, 168
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	.cfi_offset rdi, -56
	.cfi_offset rsi, -64
	.cfi_offset rdx, -72
	.cfi_offset rcx, -80
	.cfi_offset rax, -88
	.cfi_offset r8, -96
	.cfi_offset r9, -104
	.cfi_offset r10, -112
	.cfi_offset r11, -120
	.cfi_offset rbx, -128
	.cfi_offset rbp, -136
	.cfi_offset r12, -144
	.cfi_offset r13, -152
	.cfi_offset r14, -160
	.cfi_offset r15, -168
	.endm

/* An exception that calls C with (regs, error code). Page faults keep CR2 for the C side to read first. */
	.macro IDTENTRY name handler has_error
	.globl \name
	.type \name, @function
\name:
	IRET_FRAME \has_error
	cld
	.if !\has_error
	pushq	$-1
	.cfi_adjust_cfa_offset 8
	.endif
	PUSH_REGS
	testb	$3, 136(%rsp)
	jz	1f
	swapgs
1:	movq	%rsp, %rdi
	.if \has_error
	movq	120(%rsp), %rsi
	movq	$-1, 120(%rsp)
	.else
	xorl	%esi, %esi
	.endif
	call	\handler
	jmp	error_return
	.cfi_endproc
	.size \name, . - \name
	.endm

/*
 * The same on a stack of the processor's choice (IST). It may have hit between SYSCALL and SWAPGS, where CS says
 * kernel and GS is still the program's: so the base itself is looked at. A kernel's is negative.
 */
	.macro IDTENTRY_PARANOID name handler has_error
	.globl \name
	.type \name, @function
\name:
	IRET_FRAME \has_error
	cld
	.if !\has_error
	pushq	$-1
	.cfi_adjust_cfa_offset 8
	.endif
	PUSH_REGS
	movl	$0xc0000101, %ecx
	rdmsr
	xorl	%ebx, %ebx
	testl	%edx, %edx
	js	1f
	swapgs
	incl	%ebx
1:	movq	%rsp, %rdi
	.if \has_error
	movq	120(%rsp), %rsi
	movq	$-1, 120(%rsp)
	.else
	xorl	%esi, %esi
	.endif
	call	\handler
	testb	$3, 136(%rsp)
	jnz	error_return			/* back to the program: signals and the scheduler have their say */
	testl	%ebx, %ebx
	jz	restore_regs_and_iret
	swapgs
	jmp	restore_regs_and_iret
	.cfi_endproc
	.size \name, . - \name
	.endm

/* From here to __irqentry_text_end: where what an interrupt or exception does begins, for lib/stackdepot.c. */
	.globl __irqentry_text_start, __irqentry_text_end
__irqentry_text_start:
	IDTENTRY asm_exc_divide_error exc_divide_error 0
	IDTENTRY_PARANOID asm_exc_debug exc_debug 0
	IDTENTRY asm_exc_int3 exc_int3 0
	IDTENTRY asm_exc_overflow exc_overflow 0
	IDTENTRY asm_exc_bounds exc_bounds 0
	IDTENTRY asm_exc_invalid_op exc_invalid_op 0
	IDTENTRY asm_exc_device_not_available exc_device_not_available 0
	IDTENTRY_PARANOID asm_exc_double_fault exc_double_fault 1
	IDTENTRY asm_exc_invalid_tss exc_invalid_tss 1
	IDTENTRY asm_exc_segment_not_present exc_segment_not_present 1
	IDTENTRY asm_exc_stack_segment exc_stack_segment 1
	IDTENTRY asm_exc_general_protection exc_general_protection 1
	IDTENTRY asm_exc_page_fault exc_page_fault 1
	IDTENTRY asm_exc_coprocessor_error exc_coprocessor_error 0
	IDTENTRY asm_exc_alignment_check exc_alignment_check 1
	IDTENTRY_PARANOID asm_exc_machine_check exc_machine_check 0
	IDTENTRY asm_exc_simd_coprocessor_error exc_simd_coprocessor_error 0
	IDTENTRY asm_exc_shadow_check exc_shadow_check 1

/*
 * NMI: as above, and the IST entry points 4096 bytes lower until the handler returns, so that an NMI let in by an
 * IRET of a fault inside the handler does not land on this frame.
 */
	.globl asm_exc_nmi
	.type asm_exc_nmi, @function
asm_exc_nmi:
	IRET_FRAME 0
	cld
	pushq	$-1
	.cfi_adjust_cfa_offset 8
	PUSH_REGS
	movl	$0xc0000101, %ecx
	rdmsr
	xorl	%ebx, %ebx
	testl	%edx, %edx
	js	1f
	swapgs
	incl	%ebx
1:	subq	$4096, %gs:cpu_tss_rw + TSS_ist + 8
	movq	%rsp, %rdi
	xorl	%esi, %esi
	call	exc_nmi
	addq	$4096, %gs:cpu_tss_rw + TSS_ist + 8
	testl	%ebx, %ebx
	jz	restore_regs_and_iret
	swapgs
	jmp	restore_regs_and_iret
	.cfi_endproc
	.size asm_exc_nmi, . - asm_exc_nmi

/* Interrupts of the local APIC: the C function of the same name moves to the interrupt stack. */
	.macro SYSVEC name
	IDTENTRY asm_\name \name 0
	.endm
	SYSVEC sysvec_apic_timer_interrupt
	SYSVEC sysvec_reschedule_ipi
	SYSVEC sysvec_call_function
	SYSVEC sysvec_call_function_single
	SYSVEC sysvec_reboot
	SYSVEC sysvec_error_interrupt
	SYSVEC sysvec_spurious_apic_interrupt

	.globl error_return
	.type error_return, @function
error_return:
	ALL_SAVED
	testb	$3, 136(%rsp)
	jz	restore_regs_and_iret
	movq	%rsp, %rdi
	call	exit_to_user_mode
	cli
	swapgs
	.globl restore_regs_and_iret
restore_regs_and_iret:
	POP_REG r15
	POP_REG r14
	POP_REG r13
	POP_REG r12
	POP_REG rbp
	POP_REG rbx
	POP_REG r11
	POP_REG r10
	POP_REG r9
	POP_REG r8
	POP_REG rax
	POP_REG rcx
	POP_REG rdx
	POP_REG rsi
	POP_REG rdi
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	iretq
	.cfi_endproc
	.size error_return, . - error_return

/* Device interrupts: stubs of 16 bytes push the vector; common_interrupt() moves to the interrupt stack. */
	.balign 16
	.globl irq_entries_start
irq_entries_start:
	.set	.Lvector, 0x20
	.rept	16
	.balign 16, 0xcc
	IRET_FRAME 0
	pushq	$.Lvector
	.cfi_adjust_cfa_offset 8
	jmp	asm_common_interrupt
	.cfi_endproc
	.set	.Lvector, .Lvector + 1
	.endr

	.globl asm_common_interrupt
	.type asm_common_interrupt, @function
asm_common_interrupt:
	IRET_FRAME 1
	cld
	PUSH_REGS
	testb	$3, 136(%rsp)
	jz	1f
	swapgs
1:	movq	%rsp, %rdi
	movq	120(%rsp), %rsi
	movq	$-1, 120(%rsp)
	call	common_interrupt
	jmp	error_return
	.cfi_endproc
	.size asm_common_interrupt, . - asm_common_interrupt
__irqentry_text_end:

/* SYSCALL: no stack switch by the processor. */
	.globl entry_SYSCALL_64
	.type entry_SYSCALL_64, @function
entry_SYSCALL_64:
	.cfi_startproc
	.cfi_undefined rip
	swapgs
	movq	%rsp, %gs:cpu_tss_rw + TSS_sp2	/* scratch */
	movq	%gs:cpu_current_top_of_stack, %rsp
	pushq	$__USER_DS
	pushq	%gs:cpu_tss_rw + TSS_sp2
	pushq	%r11
	pushq	$__USER_CS
	pushq	%rcx
	.cfi_endproc
	.size entry_SYSCALL_64, . - entry_SYSCALL_64
	.globl entry_SYSCALL_64_after_hwframe
	.type entry_SYSCALL_64_after_hwframe, @function
entry_SYSCALL_64_after_hwframe:
	IRET_FRAME 0
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	PUSH_REGS
	movq	$-38, 80(%rsp)			/* ax = -ENOSYS until the call says otherwise */
	movq	%rsp, %rdi
	movslq	%eax, %rsi
	call	do_syscall_64
	jmp	error_return
	.cfi_endproc
	.size entry_SYSCALL_64_after_hwframe, . - entry_SYSCALL_64_after_hwframe

/* struct task_struct *__switch_to_asm(prev, next): struct inactive_task_frame stays on the old stack. */
	.text
	.globl __switch_to_asm
	.type __switch_to_asm, @function
__switch_to_asm:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	movq	task_threadsp(%rip), %rax
	movq	%rsp, (%rdi, %rax)
	movq	(%rsi, %rax), %rsp
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	jmp	__switch_to
	.cfi_endproc
	.size __switch_to_asm, . - __switch_to_asm

/* First run of a new task: rax = prev, rbx = kernel thread function or 0, r12 = its argument. */
	.globl ret_from_fork
	.type ret_from_fork, @function
	.cfi_startproc
	.cfi_undefined rip
	nop					/* a return address belongs to the byte before it */
ret_from_fork:
	movq	%rax, %rdi
	call	schedule_tail
	testq	%rbx, %rbx
	jz	1f
	movq	%r12, %rdi
	call	*%rbx
	/* a kernel thread that became a program (init) returns here */
1:	jmp	error_return
	.cfi_endproc
	.size ret_from_fork, . - ret_from_fork
	.section .note.GNU-stack, "", @progbits
