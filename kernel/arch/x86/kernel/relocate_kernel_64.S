/*
 * Moves the pages of an image to their places and jumps into it: void relocate_kernel(head, stack, start), all
 * physical. Runs from a copy in a control page, on the tables beside it, where nothing is moved to.
 * Mirrors Linux arch/x86/kernel/relocate_kernel_64.S.
 */
	.cfi_sections .eh_frame
	.text
	.globl relocate_kernel, relocate_kernel_end
	.type relocate_kernel, @function
relocate_kernel:
	.cfi_startproc
	.cfi_undefined rip
	movq	%rsi, %rsp
	pushq	%rdx			/* where it returns to */
	movl	$0x20, %eax		/* PAE alone */
	movq	%rax, %cr4
	movq	%cr0, %rax
	andq	$~0x0005000c, %rax	/* AM WP TS EM */
	movq	%rax, %cr0
	movq	%cr3, %rax
	movq	%rax, %cr3
	cld
	movq	%rdi, %rbx
1:	testb	$1, %bl			/* destination */
	jz	2f
	movq	%rbx, %rdi
	andq	$-4096, %rdi
2:	testb	$2, %bl			/* more entries */
	jz	3f
	movq	%rbx, %r8
	andq	$-4096, %r8
3:	testb	$4, %bl			/* done */
	jnz	4f
	testb	$8, %bl			/* a page for the destination */
	jz	5f
	movq	%rbx, %rsi
	andq	$-4096, %rsi
	movl	$512, %ecx
	rep movsq
5:	movq	(%r8), %rbx
	addq	$8, %r8
	jmp	1b
4:	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	ret
	.cfi_endproc
	.size relocate_kernel, . - relocate_kernel
relocate_kernel_end:
	.section .note.GNU-stack, "", @progbits
