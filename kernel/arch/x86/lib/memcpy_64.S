/* Memory primitives by string instructions, which the processor (and an emulator) does page by page. */
	.cfi_sections .eh_frame
/*
 * Two of each: memset() and its like for everybody, which the CPU's shadow check looks at (instrumented kernels have
 * them in C, mm/kasan/compiler.c), and __memset() and its like for code that has to do with poisoned memory.
 */
	.macro MEMORY_FUNCTIONS prefix
	.globl \prefix\()memcpy
	.type \prefix\()memcpy, @function
\prefix\()memcpy:
	.cfi_startproc
	movq	%rdi, %rax
	movq	%rdx, %rcx
	rep movsb
	ret
	.cfi_endproc
	.size \prefix\()memcpy, . - \prefix\()memcpy

	.globl \prefix\()memmove
	.type \prefix\()memmove, @function
\prefix\()memmove:
	.cfi_startproc
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
	.size \prefix\()memmove, . - \prefix\()memmove

	.globl \prefix\()memset
	.type \prefix\()memset, @function
\prefix\()memset:
	.cfi_startproc
	movq	%rdi, %r8
	movl	%esi, %eax
	movq	%rdx, %rcx
	rep stosb
	movq	%r8, %rax
	ret
	.cfi_endproc
	.size \prefix\()memset, . - \prefix\()memset
	.endm

#ifndef CONFIG_KASAN_COMPILER
	.section .text.memory, "ax"
	MEMORY_FUNCTIONS
#endif
	.section .text.unchecked, "ax"
	MEMORY_FUNCTIONS __

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
