/* ELF files (System V ABI, AMD64 supplement), as far as programs here read and write them. */
#ifndef ELF_H
#define ELF_H
#include <libc.h>

#define PAGE 4096UL
#define PT_LOAD 1
#define PT_NOTE 4

struct elf64_hdr { u8 e_ident[16]; u16 e_type, e_machine; u32 e_version; u64 e_entry, e_phoff, e_shoff; u32 e_flags; u16 e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx; };
struct elf64_phdr { u32 p_type, p_flags; u64 p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align; };
#endif
