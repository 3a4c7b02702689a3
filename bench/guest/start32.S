/*
 * Multiboot1 entry of the 32-bit bench image: paging with 4 MiB identity pages,
 * then main(). The twin of start64.S for peers that have no long mode.
 */
	.section .head, "ax"
	.code32
	.balign 4
header:
	.long 0x1badb002, 0x00010003, -(0x1badb002 + 0x00010003)
	.long header, image_start, image_data_end, image_end, start32

	.globl start32
start32:
	movl $stack_top, %esp
	pushl %ebx			/* multiboot information: main()'s argument */
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $22, %eax
	orl $0x83, %eax
	movl %eax, directory(, %ecx, 4)
	incl %ecx
	cmpl $16, %ecx
	jb 1b
	movl $fault_table + 3, directory + 256 * 4	/* 1 GiB: one table for page faults */
	movl %cr4, %eax
	orl $0x10, %eax
	movl %eax, %cr4
	movl $directory, %eax
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $2f
2:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	call main
	movb $0x10, %al
	outb %al, $0xf4
3:	cli
	hlt
	jmp 3b

	.text
	.globl trap_page_fault, trap_int80
trap_page_fault:
	pushl %eax
	pushl %ecx
	movl %cr2, %eax
	movl %eax, %ecx
	shrl $12, %ecx
	andl $511, %ecx
	andl $0x1ff000, %eax
	addl $0x800000 + 3, %eax
	movl %eax, fault_table(, %ecx, 4)
	popl %ecx
	popl %eax
	addl $4, %esp
	iretl

trap_int80:
	incl %eax
	iretl

	.data
	.balign 16
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.bss
	.balign 4096
directory: .skip 4096
	.globl fault_table
fault_table: .skip 4096
	.balign 16
	.skip 65536
stack_top:
