/* 64-bit ELF: programs, kernels to load, the headers of /proc/vmcore (System V ABI; Linux include/uapi/linux/elf.h). */
#ifndef _LINUX_ELF_H
#define _LINUX_ELF_H
#include <linux/types.h>

struct elf64_hdr { u8 e_ident[16]; u16 e_type, e_machine; u32 e_version; u64 e_entry, e_phoff, e_shoff; u32 e_flags; u16 e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx; };
struct elf64_phdr { u32 p_type, p_flags; u64 p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align; };
struct elf64_note { u32 n_namesz, n_descsz, n_type; };

#define ET_CORE 4
#define PT_LOAD 1
#define PT_NOTE 4
#endif
