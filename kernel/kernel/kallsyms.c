/* Addresses to names and back, from the table the build makes, and from each module's. Mirrors Linux kernel/kallsyms.c. */
#include <linux/module.h>

extern const u32 kallsyms_num_syms, kallsyms_offsets[], kallsyms_name_offsets[];
extern const char kallsyms_names[];

bool kernel_text_address(unsigned long addr)
{
	struct module *mod;

	if (addr >= (unsigned long)_stext && addr < (unsigned long)_etext)
		return true;
	if (addr >= (unsigned long)_sinittext && addr < (unsigned long)_einittext)
		return true;
	mod = __module_address(addr);
	return mod && addr < (unsigned long)mod->core_layout.base + mod->core_layout.text_size;
}

const char *kallsyms_lookup(unsigned long addr, unsigned long *size, unsigned long *offset, char **modname)
{
	unsigned long base = (unsigned long)_text, relative = addr - base;
	u32 low = 0, high = kallsyms_num_syms, next;
	struct module *mod;

	*modname = NULL;
	if (addr < base || addr >= (unsigned long)_end || !high) {
		mod = __module_address(addr);
		if (!mod)
			return NULL;
		*modname = mod->name;
		return module_address_lookup(mod, addr, size, offset);
	}
	while (high - low > 1) {
		u32 middle = (low + high) / 2;

		if (kallsyms_offsets[middle] <= relative)
			low = middle;
		else
			high = middle;
	}
	while (low && kallsyms_offsets[low - 1] == kallsyms_offsets[low])
		low--;
	for (next = low + 1; next < kallsyms_num_syms && kallsyms_offsets[next] == kallsyms_offsets[low];)
		next++;
	*size = (next < kallsyms_num_syms ? kallsyms_offsets[next] : (unsigned long)(_end - _text)) - kallsyms_offsets[low];
	*offset = relative - kallsyms_offsets[low];
	return kallsyms_names + kallsyms_name_offsets[low];
}

unsigned long kallsyms_lookup_name(const char *name)
{
	for (u32 i = 0; i < kallsyms_num_syms; i++)
		if (!strcmp(kallsyms_names + kallsyms_name_offsets[i], name))
			return (unsigned long)_text + kallsyms_offsets[i];
	return 0;
}

static int format(char *buffer, unsigned long addr, long back, bool add_buildid)
{
	unsigned long size, offset;
	char *modname, id[BUILD_ID_TEXT] = "";
	const char *name = kallsyms_lookup(addr + back, &size, &offset, &modname);

	if (!name)
		return snprintf(buffer, KSYM_SYMBOL_LEN, "0x%lx", addr);
	if (modname && add_buildid && stacktrace_build_id)
		build_id_text(__module_address(addr + back)->build_id, id);
	if (modname)
		return snprintf(buffer, KSYM_SYMBOL_LEN, "%s+0x%lx/0x%lx [%s%s]", name, offset - back, size, modname, id);
	return snprintf(buffer, KSYM_SYMBOL_LEN, "%s+0x%lx/0x%lx", name, offset - back, size);
}

int sprint_symbol(char *buffer, unsigned long addr)
{
	return format(buffer, addr, 0, false);
}

/* A return address belongs to the call before it, even where the next function begins. */
int sprint_backtrace(char *buffer, unsigned long addr)
{
	return format(buffer, addr, -1, false);
}

/* As traces have it: with the module's build id where they show it. */
int sprint_backtrace_build_id(char *buffer, unsigned long addr)
{
	return format(buffer, addr, -1, true);
}
