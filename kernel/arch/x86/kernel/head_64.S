/*
 * The first instructions: startup_64 (Linux 64-bit boot protocol, RSI = boot_params, identity-mapped) and
 * pvh_start_xen (32-bit protected mode without paging, EBX = hvm_start_info). Both switch to the kernel's own
 * tables, jump to the high half and call x86_64_start_kernel(physical address of the information, is it PVH).
 */
#include <asm/layout.h>

#define PHYS(x) (x - __START_KERNEL_map)

	.cfi_sections .eh_frame
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYS(pvh_start_xen)

	.section .head.text, "ax"
	.code64
	.globl startup_64
	.type startup_64, @function
startup_64:
	cli
	cld
	movq	%rsi, %r14		/* boot_params */
	xorl	%r15d, %r15d
	leaq	_text(%rip), %rbp	/* kexec may have put the image elsewhere, by a multiple of 2 MiB */
	subq	$PHYS(_text), %rbp
	movq	%rbp, phys_base(%rip)
	jz	2f
	addq	%rbp, init_top_pgt(%rip)
	addq	%rbp, init_top_pgt + 8 * 273(%rip)
	addq	%rbp, init_top_pgt + 8 * 511(%rip)
	addq	%rbp, level3_ident_pgt(%rip)
	addq	%rbp, level3_kernel_pgt + 8 * 510(%rip)
	leaq	level2_kernel_pgt(%rip), %rdi
	movl	$32, %ecx
1:	addq	%rbp, (%rdi)
	addq	$8, %rdi
	decl	%ecx
	jnz	1b
2:	leaq	init_top_pgt(%rip), %rax
	movq	%rax, %cr3
	movq	$.Lboot_processor, %rax
	jmp	*%rax
	.size startup_64, . - startup_64

	.code32
	.globl pvh_start_xen
	.type pvh_start_xen, @function
pvh_start_xen:
	cld
	movl	$PHYS(init_top_pgt), %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	$0x80000001, %eax	/* PG, PE */
	movl	%eax, %cr0
	lgdt	PHYS(gdt_pointer_phys)
	ljmp	$__KERNEL_CS, $PHYS(pvh_long)
	.size pvh_start_xen, . - pvh_start_xen
	.code64
	.type pvh_long, @function
pvh_long:
	movl	%ebx, %r14d
	movl	$1, %r15d
	movq	$.Lboot_processor, %rax
	jmp	*%rax
	.size pvh_long, . - pvh_long

	.set PT_REGS_GAP, 168

/*
 * The other processors. They wake up in real mode in a copy of this page at TRAMPOLINE and climb to long mode by
 * the tables of trampoline_pgd, which map the first GiB as it lies besides the kernel (Linux: realmode/rm).
 */
#define LOW(x) (x - trampoline_start + TRAMPOLINE)
	.section .rodata, "a"
	.globl trampoline_start, trampoline_end
	.code16
trampoline_start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	LOW(trampoline_gdt_pointer)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$8, $LOW(trampoline_32)
	.code32
trampoline_32:
	movl	$16, %eax
	movl	%eax, %ds
	movl	$0x20, %eax		/* PAE; PGE has to wait for the kernel's own tables */
	movl	%eax, %cr4
	movl	$PHYS(trampoline_pgd), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x901, %eax		/* NXE, LME, SCE */
	wrmsr
	movl	$0x80050033, %eax
	movl	%eax, %cr0
	ljmp	$24, $LOW(trampoline_64)
	.code64
trampoline_64:
	movq	$secondary_startup_64_no_verify, %rax
	jmp	*%rax
	.balign 8
trampoline_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 08 code, 32-bit */
	.quad	0x00cf93000000ffff	/* 10 data */
	.quad	0x00af9b000000ffff	/* 18 code, 64-bit */
trampoline_gdt_pointer:
	.word	. - trampoline_gdt - 1
	.long	LOW(trampoline_gdt)
trampoline_end:

/* On the stack in RSP: segments of the kernel, and \gs as where this processor's per-cpu data lies. */
	.macro ENTER_KERNEL gs
	leaq	1f(%rip), %rax
	pushq	$__KERNEL_CS
	pushq	%rax
	lretq
1:	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$__KERNEL_DS, %eax
	movl	%eax, %ss
	movq	\gs, %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$0xc0000101, %ecx
	wrmsr
	pushq	$0
	popfq
	xorl	%ebp, %ebp
	.endm

/* The end of every stack, as in Linux: the boot processor's first C function is called from here too. */
	.text
	.globl secondary_startup_64_no_verify
	.type secondary_startup_64_no_verify, @function
secondary_startup_64_no_verify:
	.cfi_startproc
	.cfi_undefined rip
	movq	$PHYS(init_top_pgt), %rax
	movq	%rax, %cr3
	movl	$0xa0, %eax		/* PAE, PGE */
	movq	%rax, %cr4
	lgdt	gdt_pointer(%rip)
	movq	initial_stack(%rip), %rsp
	ENTER_KERNEL initial_gs(%rip)
	call	start_secondary
	ud2
.Lboot_processor:
	movq	%cr4, %rax
	andq	$~0x80, %rax		/* PGE: what was global before goes */
	movq	%rax, %cr4
	orq	$0xa0, %rax		/* PAE, PGE */
	movq	%rax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x801, %eax		/* NXE, SCE */
	wrmsr
	movl	$0x80050033, %eax	/* PG AM WP NE ET MP PE, as Linux sets them */
	movq	%rax, %cr0
	lgdt	gdt_pointer(%rip)
	movq	$init_stack + THREAD_SIZE - PT_REGS_GAP, %rsp
	ENTER_KERNEL $__per_cpu_boot	/* per-cpu data lives at its load address for the boot processor */
	movq	%r14, %rdi
	movq	%r15, %rsi
	call	x86_64_start_kernel
	ud2
	.cfi_endproc
	.size secondary_startup_64_no_verify, . - secondary_startup_64_no_verify

	.section .data..page_aligned, "aw"
	.balign 4096
	.globl init_top_pgt
init_top_pgt:
	.quad	PHYS(level3_ident_pgt) + 0x63
	.fill	272, 8, 0
	.quad	PHYS(level3_ident_pgt) + 0x63	/* 273: direct map */
	.fill	237, 8, 0
	.quad	PHYS(level3_kernel_pgt) + 0x63	/* 511 */
	.type init_top_pgt, @object
	.size init_top_pgt, . - init_top_pgt
	.globl trampoline_pgd
trampoline_pgd:
	.quad	PHYS(level3_ident_pgt) + 0x63
	.fill	510, 8, 0
	.quad	PHYS(level3_kernel_pgt) + 0x63
level3_ident_pgt:
	.quad	PHYS(level2_ident_pgt) + 0x63
	.fill	511, 8, 0
level3_kernel_pgt:
	.fill	510, 8, 0
	.quad	PHYS(level2_kernel_pgt) + 0x63
	.quad	0
	.globl level2_ident_pgt
level2_ident_pgt:				/* the first GiB in pages of 2 MiB */
	.set	.Lframe, 0
	.rept	512
	.quad	(.Lframe << 21) + 0x1e3
	.set	.Lframe, .Lframe + 1
	.endr
	.globl level2_kernel_pgt
level2_kernel_pgt:				/* 64 MiB of image; modules use the rest */
	.set	.Lframe, 0
	.rept	32
	.quad	(.Lframe << 21) + 0x1e3
	.set	.Lframe, .Lframe + 1
	.endr
	.fill	480, 8, 0

	.globl init_stack
	.balign THREAD_SIZE
init_stack:
	.skip THREAD_SIZE
	.size init_stack, THREAD_SIZE

	.data
	.globl initial_stack, initial_gs
initial_stack:
	.quad	0
initial_gs:
	.quad	0
	.balign 16
	.globl early_gdt
early_gdt:			/* each processor gets a copy with a TSS of its own: gdt_page */
	.quad	0, 0
	.quad	0x00af9b000000ffff		/* 10 kernel code */
	.quad	0x00cf93000000ffff		/* 18 kernel data */
	.quad	0x00cffb000000ffff		/* 20 user code, 32-bit */
	.quad	0x00cff3000000ffff		/* 28 user data */
	.quad	0x00affb000000ffff		/* 30 user code */
	.quad	0
	.quad	0, 0				/* 40 TSS */
.Lgdt_end:
gdt_pointer:
	.word	.Lgdt_end - early_gdt - 1
	.quad	early_gdt
	.balign 8
gdt_pointer_phys:
	.word	.Lgdt_end - early_gdt - 1
	.long	PHYS(early_gdt)
	.section .note.GNU-stack, "", @progbits
