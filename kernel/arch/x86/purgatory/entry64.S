/*
 * Between two kernels: checks that the new one is as it was loaded, then enters it. Runs wherever it lies, on the
 * identity map it was entered with; the old kernel fills in the header. Mirrors Linux arch/x86/purgatory.
 *
 *   +0 jmp   +16 kernel_entry   +24 boot_params   +32 digest   +64 count   +72 regions of {start, length}
 */
	.section .head.text, "ax"
	.code64
	.globl purgatory_start
purgatory_start:
	jmp	1f
	.balign 16
	.globl kernel_entry, boot_params, sha256_digest, nr_regions, sha_regions
kernel_entry:
	.quad	0
boot_params:
	.quad	0
sha256_digest:
	.fill	32, 1, 0
nr_regions:
	.quad	0
sha_regions:
	.fill	30, 8, 0
1:	leaq	stack_end(%rip), %rsp
	leaq	gdt(%rip), %rax
	movq	%rax, gdt_pointer + 2(%rip)
	lgdt	gdt_pointer(%rip)
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	leaq	2f(%rip), %rax
	pushq	$0x10
	pushq	%rax
	lretq
2:	call	purgatory
	movq	boot_params(%rip), %rsi
	movq	kernel_entry(%rip), %rax
	jmp	*%rax

	.balign 8
gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff	/* 10 code */
	.quad	0x00cf93000000ffff	/* 18 data */
gdt_pointer:
	.word	. - gdt - 1
	.quad	0
	.balign 16
	.skip	4096
stack_end:
	.section .note.GNU-stack, "", @progbits
