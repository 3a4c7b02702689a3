/*
 * Loadable modules: an ELF relocatable file is checked, laid out, bound to the kernel's exported symbols,
 * relocated and started. Nothing in the file is trusted. Mirrors Linux 5.15 kernel/module.c.
 */
#include <asm/processor.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/syscalls.h>

struct elf64_hdr { u8 e_ident[16]; u16 e_type, e_machine; u32 e_version; u64 e_entry, e_phoff, e_shoff; u32 e_flags; u16 e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx; };
struct elf64_shdr { u32 sh_name, sh_type; u64 sh_flags, sh_addr, sh_offset, sh_size; u32 sh_link, sh_info; u64 sh_addralign, sh_entsize; };
struct elf64_rela { u64 r_offset, r_info; s64 r_addend; };

#define SHT_SYMTAB 2
#define SHT_RELA 4
#define SHT_NOBITS 8
#define SHF_WRITE 1
#define SHF_ALLOC 2
#define SHF_EXECINSTR 4
#define SHN_ABS 0xfff1
#define R_X86_64_64 1
#define R_X86_64_PC32 2
#define R_X86_64_PLT32 4
#define R_X86_64_32 10
#define R_X86_64_32S 11
#define R_X86_64_PC64 24
#define MODULE_INIT_IGNORE_MODVERSIONS 1
#define MODULE_INIT_IGNORE_VERMAGIC 2
#define MODULE_MAX (8UL << 20)
int module_sig_check(const char *image, size_t *size, bool mangled, bool *ok);
#define MAX_SECTIONS 128

LIST_HEAD(modules);
extern const struct kernel_symbol __start___ksymtab[], __stop___ksymtab[];
static char last_unloaded_module[64], last_unloaded_taints[TAINT_FLAGS_COUNT + 3];

struct load_info {
	char *image;
	size_t size;
	struct elf64_hdr *hdr;
	struct elf64_shdr *sections;
	const char *names;
	unsigned int symtab, strtab, modinfo;
	unsigned long address[MAX_SECTIONS];	/* where each section lies in the module's memory */
	size_t core_size, text_size, symbols_at, strings_at;
	size_t end[4];				/* of text, constants, constants after init, data */
};

/* Every offset of the file is inside the file from here on. */
static int elf_validity_check(struct load_info *info)
{
	struct elf64_hdr *hdr = info->hdr = (void *)info->image;

	if (info->size < sizeof(*hdr) || memcmp(hdr->e_ident, "\177ELF\2\1\1", 7) || hdr->e_type != 1 || hdr->e_machine != 62 ||
	    hdr->e_shentsize != sizeof(struct elf64_shdr) || !hdr->e_shnum || hdr->e_shnum > MAX_SECTIONS || hdr->e_shstrndx >= hdr->e_shnum ||
	    hdr->e_shoff > info->size || hdr->e_shoff & 7 || info->size - hdr->e_shoff < hdr->e_shnum * sizeof(struct elf64_shdr))
		return -ENOEXEC;
	info->sections = (void *)(info->image + hdr->e_shoff);
	for (int i = 1; i < hdr->e_shnum; i++) {
		struct elf64_shdr *s = &info->sections[i];

		if (s->sh_type != SHT_NOBITS && (s->sh_offset > info->size || s->sh_size > info->size - s->sh_offset))
			return -ENOEXEC;
		if (s->sh_size > MODULE_MAX || s->sh_addralign > PAGE_SIZE || s->sh_addralign & (s->sh_addralign - 1) || s->sh_link >= hdr->e_shnum)
			return -ENOEXEC;
		if (s->sh_type == SHT_RELA && (s->sh_info >= hdr->e_shnum || s->sh_entsize != sizeof(struct elf64_rela) || s->sh_offset & 7))
			return -ENOEXEC;
	}
	info->names = info->image + info->sections[hdr->e_shstrndx].sh_offset;
	if (!info->sections[hdr->e_shstrndx].sh_size || info->names[info->sections[hdr->e_shstrndx].sh_size - 1])
		return -ENOEXEC;
	for (int i = 1; i < hdr->e_shnum; i++)
		if (info->sections[i].sh_name >= info->sections[hdr->e_shstrndx].sh_size)
			return -ENOEXEC;
	return 0;
}

static unsigned int find_section(const struct load_info *info, const char *name)
{
	for (unsigned int i = 1; i < info->hdr->e_shnum; i++)
		if (!strcmp(info->names + info->sections[i].sh_name, name))
			return i;
	return 0;
}

static int find_symbols(struct load_info *info)
{
	for (unsigned int i = 1; i < info->hdr->e_shnum; i++) {
		struct elf64_shdr *s = &info->sections[i], *strings = &info->sections[s->sh_link];
		Elf64_Sym *symbols = (void *)(info->image + s->sh_offset);

		if (s->sh_type != SHT_SYMTAB)
			continue;
		if (s->sh_entsize != sizeof(Elf64_Sym) || s->sh_offset & 7 || !strings->sh_size || info->image[strings->sh_offset + strings->sh_size - 1])
			return -ENOEXEC;
		for (u64 k = 0; k < s->sh_size / sizeof(Elf64_Sym); k++)
			if (symbols[k].st_name >= strings->sh_size)
				return -ENOEXEC;
		info->symtab = i;
		info->strtab = s->sh_link;
		return 0;
	}
	return -ENOEXEC;
}

/* Value of a `tag=value` line of .modinfo, or NULL. */
static const char *get_modinfo(const struct load_info *info, const char *tag)
{
	struct elf64_shdr *s = &info->sections[info->modinfo];
	const char *at = info->image + s->sh_offset, *end = at + s->sh_size;
	size_t length = strlen(tag);

	if (!info->modinfo)
		return NULL;
	for (; at < end; at += strnlen(at, end - at) + 1)
		if (strnlen(at, end - at) > length && at[length] == '=' && !memcmp(at, tag, length) && strnlen(at, end - at) < (size_t)(end - at))
			return at + length + 1;
	return NULL;
}

/* Text first, then read-only data, then data; then what kallsyms needs. */
static void layout_sections(struct load_info *info)
{
	/* flags that a section has and has not; what its initcall may still write comes before the data */
	static const struct { unsigned long with, without; bool ro_after_init; } order[] = {
		{ SHF_EXECINSTR, 0, false }, { 0, SHF_EXECINSTR | SHF_WRITE, false },
		{ SHF_WRITE, SHF_EXECINSTR, true }, { SHF_WRITE, SHF_EXECINSTR, false },
	};
	struct elf64_shdr *symbols = &info->sections[info->symtab], *strings = &info->sections[info->strtab];
	size_t at = 0;

	for (size_t pass = 0; pass < ARRAY_SIZE(order); pass++) {
		for (int i = 1; i < info->hdr->e_shnum; i++) {
			struct elf64_shdr *s = &info->sections[i];

			if (!(s->sh_flags & SHF_ALLOC) || (s->sh_flags & order[pass].with) != order[pass].with || s->sh_flags & order[pass].without ||
			    !strcmp(info->names + s->sh_name, ".data..ro_after_init") != order[pass].ro_after_init)
				continue;
			at = ALIGN(at, max(s->sh_addralign, 1ul));
			info->address[i] = at;
			at += s->sh_size;
		}
		if (!pass)
			info->text_size = at;
		at = ALIGN(at, (size_t)PAGE_SIZE); /* each kind has its own permissions */
		info->end[pass] = at;
	}
	info->symbols_at = ALIGN(at, 8UL);
	info->strings_at = info->symbols_at + symbols->sh_size;
	info->core_size = info->strings_at + strings->sh_size + symbols->sh_size / sizeof(Elf64_Sym);
}

static unsigned long resolve_symbol(const char *name)
{
	struct module *mod;

	for (const struct kernel_symbol *s = __start___ksymtab; s < __stop___ksymtab; s++)
		if (!strcmp(s->name, name))
			return s->value;
	list_for_each_entry(mod, &modules, list)
		for (unsigned int i = 0; i < mod->num_syms; i++)
			if (!strcmp(mod->syms[i].name, name))
				return mod->syms[i].value;
	return 0;
}

/* Symbol values become addresses. */
static int simplify_symbols(struct module *mod, const struct load_info *info)
{
	Elf64_Sym *symbols = mod->kallsyms->symtab;
	int err = 0;

	for (unsigned int i = 1; i < mod->kallsyms->num_symtab; i++) {
		const char *name = mod->kallsyms->strtab + symbols[i].st_name;

		if (symbols[i].st_shndx == SHN_ABS)
			continue;
		if (!symbols[i].st_shndx) {
			symbols[i].st_value = resolve_symbol(name);
			if (!symbols[i].st_value && symbols[i].st_info >> 4 != 2) { /* not weak */
				pr_warn("%s: Unknown symbol %s (err %d)\n", mod->name, name, -ENOENT);
				err = -ENOENT;
			}
		} else if (symbols[i].st_shndx < info->hdr->e_shnum) {
			if (info->sections[symbols[i].st_shndx].sh_flags & SHF_ALLOC)
				symbols[i].st_value += info->address[symbols[i].st_shndx];
		} else
			err = -ENOEXEC;
	}
	return err;
}

static int apply_relocate_add(struct module *mod, const struct load_info *info, const struct elf64_shdr *rela)
{
	const struct elf64_shdr *target = &info->sections[rela->sh_info];
	const struct elf64_rela *r = (void *)(info->image + rela->sh_offset), *end = r + rela->sh_size / sizeof(*r);

	for (; r < end; r++) {
		unsigned int type = (u32)r->r_info, symbol = r->r_info >> 32, size = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
		unsigned long at = info->address[rela->sh_info] + r->r_offset, value;

		if (symbol >= mod->kallsyms->num_symtab || r->r_offset > target->sh_size || target->sh_size - r->r_offset < size)
			return -ENOEXEC;
		value = mod->kallsyms->symtab[symbol].st_value + r->r_addend;
		if (type == R_X86_64_PC32 || type == R_X86_64_PLT32 || type == R_X86_64_PC64)
			value -= at;
		switch (type) {
		case 0:
			continue;
		case R_X86_64_64:
		case R_X86_64_PC64:
			*(u64 *)at = value;
			continue;
		case R_X86_64_32:
			if (value != (u32)value)
				break;
			*(u32 *)at = value;
			continue;
		case R_X86_64_32S:
		case R_X86_64_PC32:
		case R_X86_64_PLT32:
			if ((long)value != (s32)value)
				break;
			*(s32 *)at = value;
			continue;
		default:
			pr_err("%s: Unknown rela relocation: %u\n", mod->name, type);
			return -ENOEXEC;
		}
		pr_err("%s: overflow in relocation type %u val %lx\n", mod->name, type, value);
		return -ENOEXEC;
	}
	return 0;
}

static void *section_objs(const struct load_info *info, const char *name, size_t size, unsigned int *count)
{
	unsigned int i = find_section(info, name);

	*count = i ? info->sections[i].sh_size / size : 0;
	return i ? (void *)info->address[i] : NULL;
}

static void find_module_sections(struct module *mod, const struct load_info *info)
{
	unsigned int notes_size;
	const void *notes;

	mod->syms = section_objs(info, "__ksymtab", sizeof(*mod->syms), &mod->num_syms);
	mod->bug_table = section_objs(info, "__bug_table", sizeof(*mod->bug_table), &mod->num_bugs);
	mod->extable = section_objs(info, "__ex_table", sizeof(*mod->extable), &mod->num_exentries);
	mod->orc_unwind_ip = section_objs(info, ".orc_unwind_ip", sizeof(s32), &mod->num_orcs);
	mod->orc_unwind = section_objs(info, ".orc_unwind", 6, &mod->num_orcs);
	notes = section_objs(info, ".note.gnu.build-id", 1, &notes_size);
	if (notes)
		build_id_parse_buf(notes, mod->build_id, notes_size);
}

static int move_module(struct module *mod, struct load_info *info)
{
	struct elf64_shdr *symbols = &info->sections[info->symtab], *strings = &info->sections[info->strtab];
	char *base;

	if (info->core_size > MODULE_MAX)
		return -ENOEXEC;
	base = module_alloc(info->core_size);
	if (!base)
		return -ENOMEM;
	for (int i = 1; i < info->hdr->e_shnum; i++) {
		struct elf64_shdr *s = &info->sections[i];

		if (!(s->sh_flags & SHF_ALLOC))
			continue;
		info->address[i] += (unsigned long)base;
		if (s->sh_type != SHT_NOBITS)
			memcpy((void *)info->address[i], info->image + s->sh_offset, s->sh_size);
	}
	memcpy(base + info->symbols_at, info->image + symbols->sh_offset, symbols->sh_size);
	memcpy(base + info->strings_at, info->image + strings->sh_offset, strings->sh_size);
	mod->core_layout = (struct module_layout){ base, info->core_size, info->text_size, info->end[1], info->end[2] };
	mod->core_kallsyms = (struct mod_kallsyms){ (Elf64_Sym *)(base + info->symbols_at), symbols->sh_size / sizeof(Elf64_Sym),
						    base + info->strings_at, base + info->strings_at + strings->sh_size };
	mod->kallsyms = &mod->core_kallsyms;
	return 0;
}

static void add_taint_module(struct module *mod, unsigned int flag, enum lockdep_ok ok)
{
	add_taint(flag, ok);
	mod->taints |= 1UL << flag;
}

static bool license_is_gpl_compatible(const char *license)
{
	static const char *const good[] = { "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!strcmp(license, good[i]))
			return true;
	return false;
}

/* Loaded although something does not fit, because somebody insists. */
static void try_to_force_load(struct module *mod, const char *reason)
{
	if (!test_taint(TAINT_FORCED_MODULE))
		pr_warn("%s: %s: kernel tainted.\n", mod->name, reason);
	add_taint_module(mod, TAINT_FORCED_MODULE, LOCKDEP_NOW_UNRELIABLE);
}

/* What the module says of itself, and what that means for trust in the kernel. */
static int check_modinfo(struct module *mod, struct load_info *info, int flags)
{
	const char *vermagic = get_modinfo(info, "vermagic"), *license = get_modinfo(info, "license");

	if (flags & MODULE_INIT_IGNORE_VERMAGIC)
		vermagic = NULL;
	if (!vermagic && flags & MODULE_INIT_IGNORE_VERMAGIC) {
		try_to_force_load(mod, "bad vermagic");
	} else if (!vermagic || strcmp(vermagic, VERMAGIC_STRING)) {
		pr_err("%s: version magic '%s' should be '%s'\n", mod->name, vermagic ? vermagic : "", VERMAGIC_STRING);
		return -ENOEXEC;
	}
	if (!get_modinfo(info, "intree")) {
		if (!test_taint(TAINT_OOT_MODULE))
			pr_warn("%s: loading out-of-tree module taints kernel.\n", mod->name);
		add_taint_module(mod, TAINT_OOT_MODULE, LOCKDEP_STILL_OK);
	}
	if (get_modinfo(info, "staging")) {
		add_taint_module(mod, TAINT_CRAP, LOCKDEP_STILL_OK);
		pr_warn("%s: module is from the staging directory, the quality is unknown, you have been warned.\n", mod->name);
	}
	if (!license || !license_is_gpl_compatible(license)) {
		if (!test_taint(TAINT_PROPRIETARY_MODULE))
			pr_warn("%s: module license '%s' taints kernel.\n", mod->name, license ? license : "unspecified");
		add_taint_module(mod, TAINT_PROPRIETARY_MODULE, LOCKDEP_NOW_UNRELIABLE);
	}
	if (get_modinfo(info, "livepatch")) {
		add_taint_module(mod, TAINT_LIVEPATCH, LOCKDEP_STILL_OK);
		pr_notice("%s: tainting kernel with TAINT_LIVEPATCH\n", mod->name);
	}
	if (get_modinfo(info, "test")) {
		if (!test_taint(TAINT_TEST))
			pr_warn("%s: loading test module taints kernel.\n", mod->name);
		add_taint_module(mod, TAINT_TEST, LOCKDEP_STILL_OK);
	}
	if (get_modinfo(info, "supported")) /* as distributions mark what others support: supported=external */
		add_taint_module(mod, TAINT_AUX, LOCKDEP_STILL_OK);
	return 0;
}

static void free_module(struct module *mod)
{
	list_del_init(&mod->list);
	vfree(mod->core_layout.base);
	kfree(mod);
}

struct module *find_module(const char *name)
{
	struct module *mod;

	list_for_each_entry(mod, &modules, list)
		if (!strcmp(mod->name, name))
			return mod;
	return NULL;
}

/* Text can be run and not written, constants only read, data not run (Linux: module_enable_ro, _nx, _x). */
static void module_enable_protection(struct module *mod, const struct load_info *info)
{
	unsigned long base = (unsigned long)mod->core_layout.base;

	set_memory_ro(base, info->end[1] / PAGE_SIZE);
	set_memory_x(base, info->end[0] / PAGE_SIZE);
}

/* What the compiler wants done before anything else: its globals have red zones (mm/kasan/compiler.c). */
static void do_mod_ctors(const struct load_info *info)
{
	unsigned int n;
	void (**fn)(void) = section_objs(info, ".init_array", sizeof(*fn), &n);

	while (n--)
		(*fn++)();
}

static noinline long do_init_module(struct module *mod)
{
	long err = mod->init ? do_one_initcall(mod->init) : 0;

	if (err < 0) {
		free_module(mod);
		return err;
	}
	set_memory_ro((unsigned long)mod->core_layout.base + mod->core_layout.ro_size,
		      (mod->core_layout.ro_after_init_size - mod->core_layout.ro_size) / PAGE_SIZE);
	mod->state = MODULE_STATE_LIVE;
	return 0;
}

/* The image is ours to change and to free. */
static noinline long load_module(char *image, size_t size, int flags)
{
	struct load_info *info = kzalloc(sizeof(*info), GFP_KERNEL);
	struct module *mod = kzalloc(sizeof(*mod), GFP_KERNEL);
	const char *name;
	Elf64_Sym *symbol;
	long err = -ENOMEM;
	bool sig_ok;

	if (!info || !mod)
		goto fail;
	INIT_LIST_HEAD(&mod->list);
	err = module_sig_check(image, &size, flags & (MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC), &sig_ok);
	if (err)
		goto fail;
	info->image = image;
	info->size = size;
	err = elf_validity_check(info);
	if (!err)
		err = find_symbols(info);
	if (err)
		goto fail;
	info->modinfo = find_section(info, ".modinfo");
	name = get_modinfo(info, "name");
	err = -ENOEXEC;
	if (!name || strscpy(mod->name, name, sizeof(mod->name)) <= 0)
		goto fail;
	err = -EEXIST;
	if (find_module(mod->name))
		goto fail;
	err = check_modinfo(mod, info, flags);
	if (err)
		goto fail;
	if (!sig_ok && !test_taint(TAINT_UNSIGNED_MODULE))
		pr_notice("%s: module verification failed: signature and/or required key missing - tainting kernel\n", mod->name);
	if (!sig_ok)
		add_taint_module(mod, TAINT_UNSIGNED_MODULE, LOCKDEP_STILL_OK);
	layout_sections(info);
	err = move_module(mod, info);
	if (err)
		goto fail;
	err = simplify_symbols(mod, info);
	for (int i = 1; !err && i < info->hdr->e_shnum; i++)
		if (info->sections[i].sh_type == SHT_RELA && info->sections[info->sections[i].sh_info].sh_flags & SHF_ALLOC)
			err = apply_relocate_add(mod, info, &info->sections[i]);
	if (err)
		goto fail;
	find_module_sections(mod, info);
	for (unsigned int i = 1; i < mod->kallsyms->num_symtab; i++) {
		symbol = &mod->kallsyms->symtab[i];
		mod->kallsyms->typetab[i] = (symbol->st_info & 15) == 2 ? 't' : 'd';
		if (!strcmp(mod->kallsyms->strtab + symbol->st_name, "init_module"))
			mod->init = (int (*)(void))symbol->st_value;
		else if (!strcmp(mod->kallsyms->strtab + symbol->st_name, "cleanup_module"))
			mod->exit = (void (*)(void))symbol->st_value;
	}
	module_enable_protection(mod, info);
	mod->state = MODULE_STATE_COMING;
	list_add(&mod->list, &modules);
	do_mod_ctors(info);
	kfree(info);
	vfree(image);
	return do_init_module(mod);
fail:
	if (mod)
		vfree(mod->core_layout.base);
	kfree(mod);
	kfree(info);
	vfree(image);
	return err;
}

SYSCALL_DEFINE(init_module)
{
	char *image;

	if (!regs->si || regs->si > MODULE_MAX)
		return -ENOEXEC;
	image = vmalloc(regs->si);
	if (!image)
		return -ENOMEM;
	if (copy_from_user(image, (void __user *)regs->di, regs->si)) {
		vfree(image);
		return -EFAULT;
	}
	return load_module(image, regs->si, 0);
}

SYSCALL_DEFINE(finit_module)
{
	struct file *file = fget(regs->di);
	char *image;

	if (!file)
		return -EBADF;
	if (!file->f_inode || file->f_inode->i_fop != &ramfs_file_operations || !S_ISREG(file->f_inode->i_mode))
		return -EINVAL;
	if (!file->f_inode->i_size || file->f_inode->i_size > (loff_t)MODULE_MAX)
		return -ENOEXEC;
	image = vmalloc(file->f_inode->i_size);
	if (!image)
		return -ENOMEM;
	memcpy(image, file->f_inode->i_data, file->f_inode->i_size);
	return load_module(image, file->f_inode->i_size, regs->dx);
}

SYSCALL_DEFINE(delete_module)
{
	char name[56];
	struct module *mod;
	long n = strncpy_from_user(name, (const char __user *)regs->di, sizeof(name));

	if (n < 0)
		return n;
	mod = find_module(name);
	if (!mod)
		return -ENOENT;
	if (mod->refcnt)
		return -EAGAIN;
	if (mod->state != MODULE_STATE_LIVE)
		return -EBUSY;
	if (mod->init && !mod->exit) { /* it never meant to go */
		if (!(regs->si & O_TRUNC))
			return -EBUSY;
		add_taint(TAINT_FORCED_RMMOD, LOCKDEP_NOW_UNRELIABLE);
	}
	mod->state = MODULE_STATE_GOING;
	if (mod->exit)
		mod->exit();
	strscpy(last_unloaded_module, mod->name, sizeof(last_unloaded_module));
	module_flags(mod, last_unloaded_taints, false);
	free_module(mod);
	return 0;
}

bool try_module_get(struct module *mod)
{
	if (!mod)
		return true;
	if (mod->state == MODULE_STATE_GOING)
		return false;
	mod->refcnt++;
	return true;
}

void module_put(struct module *mod)
{
	if (mod)
		mod->refcnt--;
}

struct module *__module_address(unsigned long addr)
{
	struct module *mod;

	list_for_each_entry(mod, &modules, list)
		if (addr - (unsigned long)mod->core_layout.base < mod->core_layout.size)
			return mod;
	return NULL;
}

/* The nearest symbol at or below addr; its size reaches to the next one, or to the end of the text. */
const char *module_address_lookup(struct module *mod, unsigned long addr, unsigned long *size, unsigned long *offset)
{
	const struct mod_kallsyms *k = mod->kallsyms;
	unsigned long next = (unsigned long)mod->core_layout.base + (addr < (unsigned long)mod->core_layout.base + mod->core_layout.text_size ? mod->core_layout.text_size : mod->core_layout.size);
	unsigned int best = 0;

	for (unsigned int i = 1; i < k->num_symtab; i++) {
		unsigned long value = k->symtab[i].st_value;
		const char *name = k->strtab + k->symtab[i].st_name;

		if (!k->symtab[i].st_shndx || k->symtab[i].st_shndx == SHN_ABS || !*name || (k->symtab[i].st_info & 15) > 2)
			continue;
		if (value <= addr && (!best || value > k->symtab[best].st_value))
			best = i;
		if (value > addr && value < next)
			next = value;
	}
	if (!best)
		return NULL;
	*size = next - k->symtab[best].st_value;
	*offset = addr - k->symtab[best].st_value;
	return k->strtab + k->symtab[best].st_name;
}

/* Letters after a module's name: `(OE)`, and `+` or `-` while it comes or goes. */
char *module_flags(struct module *mod, char *buf, bool show_state)
{
	char *s = buf;
	bool going = show_state && mod->state == MODULE_STATE_GOING, coming = show_state && mod->state == MODULE_STATE_COMING;

	if (mod->taints || going || coming) {
		*s++ = '(';
		for (int i = 0; i < TAINT_FLAGS_COUNT; i++)
			if (taint_flags[i].module && mod->taints >> i & 1)
				*s++ = taint_flags[i].c_true;
		if (going)
			*s++ = '-';
		if (coming)
			*s++ = '+';
		*s++ = ')';
	}
	*s = 0;
	return buf;
}

void print_modules(void)
{
	char buf[TAINT_FLAGS_COUNT + 8];
	struct module *mod;

	printk(KERN_DEFAULT "Modules linked in:");
	list_for_each_entry(mod, &modules, list)
		pr_cont(" %s%s", mod->name, module_flags(mod, buf, true));
	if (last_unloaded_module[0])
		pr_cont(" [last unloaded: %s%s]", last_unloaded_module, last_unloaded_taints);
	pr_cont("\n");
}

static int show_modules(struct seq_file *m, void *data)
{
	char buf[TAINT_FLAGS_COUNT + 8];
	struct module *mod;

	list_for_each_entry(mod, &modules, list)
		seq_printf(m, "%s %u %d - %s 0x%016lx %s\n", mod->name, mod->core_layout.size, mod->refcnt,
			   mod->state == MODULE_STATE_LIVE ? "Live" : mod->state == MODULE_STATE_COMING ? "Loading" : "Unloading",
			   (unsigned long)mod->core_layout.base, module_flags(mod, buf, true));
	return 0;
}
static const struct text_file modules_file = { "/proc/modules", 0444, show_modules, NULL, NULL };

static int proc_modules_init(void)
{
	return register_text_file(&modules_file);
}
fs_initcall(proc_modules_init);
