/* Memory primitives by string instructions, which the processor (and an emulator) does page by page. */
	.cfi_sections .eh_frame
	.text
	.globl memcpy
	.type memcpy, @function
memcpy:	.cfi_startproc
	movq	%rdi, %rax
	movq	%rdx, %rcx
	rep movsb
	ret
	.cfi_endproc
	.size memcpy, . - memcpy

	.globl memmove
	.type memmove, @function
memmove: .cfi_startproc
	movq	%rdi, %rax
	movq	%rdx, %rcx
	movq	%rdi, %r8
	subq	%rsi, %r8
	cmpq	%rdx, %r8
	jb	1f
	rep movsb
	ret
1:	leaq	-1(%rdi, %rdx), %rdi
	leaq	-1(%rsi, %rdx), %rsi
	std
	rep movsb
	cld
	ret
	.cfi_endproc
	.size memmove, . - memmove

	.globl memset
	.type memset, @function
memset:	.cfi_startproc
	movq	%rdi, %r8
	movl	%esi, %eax
	movq	%rdx, %rcx
	rep stosb
	movq	%r8, %rax
	ret
	.cfi_endproc
	.size memset, . - memset

/* unsigned long __copy_user(to, from, n): bytes that could not be copied. */
	.globl __copy_user
	.type __copy_user, @function
__copy_user:
	.cfi_startproc
	movq	%rdx, %rcx
1:	rep movsb
2:	movq	%rcx, %rax
	ret
	.cfi_endproc
	.size __copy_user, . - __copy_user
	.pushsection __ex_table, "a"
	.balign 4
	.long	1b - ., 2b - ., 0
	.popsection
	.section .note.GNU-stack, "", @progbits
