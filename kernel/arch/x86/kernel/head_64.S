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
	movq	$PHYS(init_top_pgt), %rax
	movq	%rax, %cr3
	movq	$common_startup_64, %rax
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
	movq	$common_startup_64, %rax
	jmp	*%rax
	.size pvh_long, . - pvh_long

	.text
	.type common_startup_64, @function
common_startup_64:
	.cfi_startproc
	.cfi_undefined rip
	movq	%cr4, %rax
	orq	$0xa0, %rax		/* PAE, PGE */
	movq	%rax, %cr4
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x801, %eax		/* NXE, SCE */
	wrmsr
	movl	$0x80050033, %eax	/* PG AM WP NE ET MP PE, as Linux sets them */
	movq	%rax, %cr0
	lgdt	gdt_pointer(%rip)
	leaq	1f(%rip), %rax
	movq	$init_stack + THREAD_SIZE - PT_REGS_GAP, %rsp
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
	movq	$__per_cpu_load, %rax	/* per-cpu data lives at its load address for the boot processor */
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$0xc0000101, %ecx
	wrmsr
	pushq	$0
	popfq
	xorl	%ebp, %ebp
	movq	%r14, %rdi
	movq	%r15, %rsi
	call	x86_64_start_kernel
	ud2
	.cfi_endproc
	.size common_startup_64, . - common_startup_64
	.set PT_REGS_GAP, 168

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
	.quad	(.Lframe << 21) + 0xe3
	.set	.Lframe, .Lframe + 1
	.endr
	.globl level2_kernel_pgt
level2_kernel_pgt:				/* 64 MiB of image; modules use the rest */
	.set	.Lframe, 0
	.rept	32
	.quad	(.Lframe << 21) + 0xe3
	.set	.Lframe, .Lframe + 1
	.endr
	.fill	480, 8, 0

	.globl init_stack
	.balign THREAD_SIZE
init_stack:
	.skip THREAD_SIZE
	.size init_stack, THREAD_SIZE

	.data
	.balign 16
	.globl gdt_page
gdt_page:
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
	.word	.Lgdt_end - gdt_page - 1
	.quad	gdt_page
	.balign 8
gdt_pointer_phys:
	.word	.Lgdt_end - gdt_page - 1
	.long	PHYS(gdt_page)
	.section .note.GNU-stack, "", @progbits
