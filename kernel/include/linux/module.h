/* Loadable modules: struct module with Linux 5.15's members, and what a module's source uses. */
#ifndef _LINUX_MODULE_H
#define _LINUX_MODULE_H
#include <linux/buildid.h>
#include <linux/kernel.h>

typedef struct elf64_sym { u32 st_name; u8 st_info, st_other; u16 st_shndx; u64 st_value, st_size; } Elf64_Sym;
struct kernel_symbol { unsigned long value; const char *name; };
struct module_layout { void *base; unsigned int size, text_size, ro_size, ro_after_init_size; };
struct mod_kallsyms { Elf64_Sym *symtab; unsigned int num_symtab; char *strtab, *typetab; };
enum module_state { MODULE_STATE_LIVE, MODULE_STATE_COMING, MODULE_STATE_GOING, MODULE_STATE_UNFORMED };
struct orc_row;
struct exception_table_entry { s32 insn, fixup, type; };
struct module {
	enum module_state state;
	struct list_head list;
	char name[56];
	unsigned char build_id[BUILD_ID_SIZE_MAX];
	const struct kernel_symbol *syms;
	const s32 *crcs;
	unsigned int num_syms, num_gpl_syms;
	const struct kernel_symbol *gpl_syms;
	int (*init)(void);
	struct module_layout core_layout, init_layout;
	unsigned long taints;
	unsigned int num_bugs;
	struct bug_entry *bug_table;
	unsigned int num_exentries;
	struct exception_table_entry *extable;
	unsigned int num_orcs;
	const s32 *orc_unwind_ip;
	const struct orc_row *orc_unwind;
	struct mod_kallsyms *kallsyms, core_kallsyms;
	void (*exit)(void);
	int refcnt;
};
extern struct list_head modules;
#define VERMAGIC_STRING UTS_RELEASE " SMP mod_unload "
struct module *find_module(const char *name);
struct module *__module_address(unsigned long addr);
/* For who uses a module, NULL being the kernel: false when it is about to go. With the big kernel lock. */
bool try_module_get(struct module *mod);
void module_put(struct module *mod);
const char *module_address_lookup(struct module *mod, unsigned long addr, unsigned long *size, unsigned long *offset);
char *module_flags(struct module *mod, char *buf, bool show_state);
void print_modules(void);

#define EXPORT_SYMBOL(s)                                                                                    \
	static const char __kstrtab_##s[] __attribute__((section("__ksymtab_strings"), used)) = #s;        \
	static const struct kernel_symbol __ksymtab_##s __attribute__((section("__ksymtab"), used)) = { (unsigned long)&s, __kstrtab_##s }

#ifdef MODULE
#define __MODULE_INFO_NAME2(a, b) a##b
#define __MODULE_INFO_NAME(a, b) __MODULE_INFO_NAME2(a, b)
#define MODULE_INFO(tag, info) static const char __MODULE_INFO_NAME(__modinfo_, __COUNTER__)[] __attribute__((section(".modinfo"), used, aligned(1))) = #tag "=" info
#define MODULE_LICENSE(l) MODULE_INFO(license, l)
#define MODULE_DESCRIPTION(d) MODULE_INFO(description, d)
#define MODULE_AUTHOR(a) MODULE_INFO(author, a)
/* Part of the kernel's own tree: not out of tree, and signed by the build (Linux: modpost adds it). */
#define MODULE_INTREE MODULE_INFO(intree, "Y")
/* A module says here who it is and for which kernel it was made (Linux: scripts/mod/modpost writes this). */
#define module_init(fn) MODULE_INFO(name, KBUILD_MODNAME); MODULE_INFO(vermagic, VERMAGIC_STRING); int init_module(void) __attribute__((alias(#fn)))
#define module_exit(fn) void cleanup_module(void) __attribute__((alias(#fn)))
#endif
#endif
