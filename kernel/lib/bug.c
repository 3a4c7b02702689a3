/* BUG() and WARN_ON() found by the address of their ud2. Mirrors Linux lib/bug.c. */
#include <asm/stacktrace.h>
#include <linux/module.h>

extern struct bug_entry __start___bug_table[], __stop___bug_table[];

static struct bug_entry *search(struct bug_entry *e, struct bug_entry *end, unsigned long addr)
{
	for (; e < end; e++)
		if ((unsigned long)&e->bug_addr_disp + e->bug_addr_disp == addr)
			return e;
	return NULL;
}

enum bug_trap_type report_bug(unsigned long addr, struct pt_regs *regs)
{
	struct bug_entry *bug = search(__start___bug_table, __stop___bug_table, addr);
	struct module *mod = bug ? NULL : __module_address(addr);
	const char *file;

	if (mod)
		bug = search(mod->bug_table, mod->bug_table + mod->num_bugs, addr);
	if (!bug)
		return BUG_TRAP_TYPE_NONE;
	file = (const char *)&bug->file_disp + bug->file_disp;
	if (bug->flags & BUGFLAG_WARNING) {
		if (bug->flags & BUGFLAG_ONCE) {
			if (bug->flags & BUGFLAG_DONE)
				return BUG_TRAP_TYPE_WARN;
			bug->flags |= BUGFLAG_DONE;
		}
		if (!(bug->flags & BUGFLAG_NO_CUT_HERE))
			printk(KERN_DEFAULT "------------[ cut here ]------------\n");
		__warn(file, bug->line, (void *)addr, bug->flags >> 8, regs, NULL, NULL);
		return BUG_TRAP_TYPE_WARN;
	}
	printk(KERN_DEFAULT "------------[ cut here ]------------\n");
	pr_emerg("kernel BUG at %s:%u!\n", file, bug->line);
	return BUG_TRAP_TYPE_BUG;
}
