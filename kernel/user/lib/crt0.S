/* First instruction of a program: argc, argv and envp lie on the stack. */
	.globl _start
	.type _start, @function
_start:
	xorl	%ebp, %ebp
	movq	(%rsp), %rdi
	leaq	8(%rsp), %rsi
	leaq	16(%rsp, %rdi, 8), %rdx
	andq	$-16, %rsp
	call	main
	movl	%eax, %edi
	call	exit
	.size _start, . - _start
	.section .note.GNU-stack, "", @progbits
