/*
 * Multiboot1 entry of the 64-bit bench image: 32-bit protected mode in, long mode
 * with identity-mapped 2 MiB pages out, then main(). The header carries load
 * addresses (flag 16), because QEMU refuses 64-bit ELF images without them.
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
	movl %ebx, information
	/* PML4[0] -> PDPT, PDPT[0] -> PD of 2 MiB pages, PDPT[1] -> PD -> PT for page faults */
	movl $pdpt + 7, pml4
	movl $pd0 + 7, pdpt
	movl $pd1 + 7, pdpt + 8
	movl $fault_table + 7, pd1
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $21, %eax
	orl $0x87, %eax
	movl %eax, pd0(, %ecx, 8)
	incl %ecx
	cmpl $512, %ecx
	jb 1b
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x101, %eax		/* LME, SCE */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $0x08, $start64

	.code64
start64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq $stack_top, %rsp
	/* the TSS descriptor's base is split over two words */
	movq $tss, %rax
	movw %ax, gdt_tss + 2
	shrq $16, %rax
	movb %al, gdt_tss + 4
	movb %ah, gdt_tss + 7
	movw $0x30, %ax
	ltr %ax
	movl information, %edi
	call main
	movb $0x10, %al			/* isa-debug-exit: status (0x10 << 1) | 1 */
	outb %al, $0xf4
2:	cli
	hlt
	jmp 2b

	.text
	.globl trap_page_fault, trap_int80, enter_user, syscall_entry
trap_page_fault:			/* map the page that faulted: its number picks frame and entry */
	pushq %rax
	pushq %rcx
	movq %cr2, %rax
	movq %rax, %rcx
	shrq $12, %rcx
	andl $511, %ecx
	andl $0x1ff000, %eax
	addl $0x800000 + 3, %eax
	movq %rax, fault_table(, %rcx, 8)
	popq %rcx
	popq %rax
	addq $8, %rsp
	iretq

trap_int80:
	incl %eax
	iretq

/* enter_user(unused, count): runs count SYSCALLs in ring 3, comes back when rax == -1 is asked for */
enter_user:
	pushq %rbx
	pushq %rbp
	movq %rsp, kernel_rsp
	movq %rsi, %rbx
	leaq user_loop(%rip), %rcx
	movl $2, %r11d			/* interrupts stay off: nobody set up the PIC */
	sysretq
user_loop:
	xorl %eax, %eax
3:	syscall
	decq %rbx
	jnz 3b
	movq %rax, %rbp
	movq $-1, %rax
	syscall
syscall_entry:
	cmpq $-1, %rax
	je 4f
	incq %rax
	sysretq
4:	movq %rbp, %rax
	movq kernel_rsp, %rsp
	popq %rbp
	popq %rbx
	ret

	.data
	.balign 16
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
	.quad 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
gdt_tss: .quad 0x0000890000000067, 0
gdt_pointer:
	.word . - gdt - 1
	.quad gdt

	.bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd0:	.skip 4096
pd1:	.skip 4096
	.globl fault_table
fault_table: .skip 4096
tss:	.skip 104
kernel_rsp: .skip 8
information: .skip 8
	.balign 16
	.skip 65536
stack_top:
