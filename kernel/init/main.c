/*
 * From x86_64_start_kernel() to the first program: parameters, subsystems in order, initcalls, the initramfs,
 * /init. Mirrors Linux init/main.c, init/version.c and init/initramfs.c.
 */
#include <asm/processor.h>
#include <linux/buildid.h>
#include <linux/boot.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/kfence.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/printk_ringbuffer.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/smp.h>
#include <linux/interrupt.h>
#include <linux/spinlock.h>
#include <asm/apic.h>

#define LINUX_COMPILE "(builder@crashlab) (" COMPILER ")"
#define COMPILER __VERSION__
const char linux_banner[] = "Linux version " UTS_RELEASE " (builder@crashlab) (" COMPILER ") " UTS_VERSION "\n";
struct uts_namespace init_uts_ns = { .name = { "Linux", "(none)", UTS_RELEASE, UTS_VERSION, "x86_64", "(none)" } };
char *saved_command_line;
static char parsed_command_line[2048];
extern struct obs_kernel_param __setup_start[], __setup_end[];
extern initcall_t __initcall_start[], __initcall_end[];
void console_init(void);

/* Behind `--`: arguments of init. */
static const char *argv_init[16];

static __init void set_init_args(char *line)
{
	for (size_t n = 1; *line && n < ARRAY_SIZE(argv_init) - 1; line++) {
		if (*line == ' ')
			*line = 0;
		else if (!line[-1])
			argv_init[n++] = line;
	}
}

/* `name=value` or `name` goes to the function that asked for it; unknown words are for user space. */
static __init void parse_args(char *line, bool early)
{
	while (*line) {
		char *word = line, *end;

		while (*word == ' ')
			word++;
		for (end = word; *end && *end != ' '; end++)
			;
		line = *end ? end + 1 : end;
		*end = 0;
		if (!strcmp(word, "--")) {
			if (!early)
				set_init_args(line);
			return;
		}
		for (struct obs_kernel_param *p = __setup_start; p < __setup_end; p++) {
			size_t n = strlen(p->str);

			if (p->early == early && !strncmp(word, p->str, n) && (p->str[n - 1] == '=' || !word[n])) {
				p->setup_func(word + n);
				break;
			}
		}
	}
}

noinline int do_one_initcall(initcall_t fn)
{
	return fn();
}

/* ---- initramfs: a newc archive; files stay where they lie until somebody writes to them ---- */

static unsigned long hex(const char *s)
{
	unsigned long v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 4 | (unsigned long)(s[i] <= '9' ? s[i] - '0' : (s[i] | 32) - 'a' + 10);
	return v;
}

static __init const char *unpack_to_rootfs(char *at, size_t left)
{
	while (left >= 110) {
		unsigned long mode = hex(at + 14), size = hex(at + 54), major = hex(at + 78), minor = hex(at + 86), name_size = hex(at + 94);
		size_t data = ALIGN(110 + name_size, 4UL), next = data + ALIGN(size, 4UL);
		char path[264] = "/";
		struct dentry *dentry;

		if (memcmp(at, "070701", 6))
			return "no cpio magic";
		if (!name_size || name_size > 256 || size > left || next > left || at[110 + name_size - 1])
			return "broken header";
		if (!strcmp(at + 110, "TRAILER!!!"))
			return NULL;
		strscpy(path + 1, at + 110, sizeof(path) - 1);
		dentry = vfs_create(path, mode);
		if (IS_ERR(dentry)) {
			if (PTR_ERR(dentry) != -EEXIST)
				return "no room, or a file without its directory";
		} else if (S_ISREG(mode)) {
			dentry->d_inode->i_data = at + data;
			dentry->d_inode->i_size = size;
		} else
			dentry->d_inode->i_rdev = major << 8 | minor;
		at += next;
		left -= next;
	}
	return "no end mark";
}

static int populate_rootfs(void)
{
	const char *problem;

	if (!initrd_size) {
		pr_info("No initramfs.\n");
		return 0;
	}
	pr_info("Trying to unpack rootfs image as initramfs...\n");
	problem = unpack_to_rootfs(__va(initrd_start), initrd_size);
	if (problem)
		pr_emerg("Initramfs unpacking failed: %s\n", problem);
	return 0;
}
fs_initcall(populate_rootfs);

static char *init_path;
static int init_setup(char *value)
{
	init_path = value;
	return 1;
}
__setup("init=", init_setup);
static int rdinit_setup(char *value)
{
	return init_setup(value);
}
__setup("rdinit=", rdinit_setup);

enum system_states system_state;

static int try_to_run(const char *path)
{
	static const char *const envp[] = { "HOME=/", "TERM=linux", NULL };

	argv_init[0] = path;
	return kernel_execve(path, argv_init, envp, task_pt_regs(current));
}

static noinline int kernel_init(void *unused)
{
	static const char *const candidates[] = { "/init", "/sbin/init", "/bin/init", "/bin/sh" };
	struct file *console;

	smp_init();
	current->cpus_mask.bits[0] = ~0UL;
	for (initcall_t *fn = __initcall_start; fn < __initcall_end; fn++)
		do_one_initcall(*fn);
	free_initmem();
	mark_rodata_ro();
	console = filp_open("/dev/console", O_RDWR, 0);
	if (IS_ERR(console))
		pr_err("Warning: unable to open an initial console.\n");
	else
		for (int i = 0; i < 3; i++) {
			console->f_count.counter += i > 0;
			fd_install(console);
		}
	if (init_path) {
		int err;

		pr_info("Run %s as init process\n", init_path);
		err = try_to_run(init_path);
		if (!err)
			return 0;
		panic("Requested init %s failed (error %d).", init_path, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (IS_ERR(vfs_lookup(candidates[i])))
			continue;
		pr_info("Run %s as init process\n", candidates[i]);
		if (!try_to_run(candidates[i]))
			return 0;
	}
	panic("No working init found.  Try passing init= option to kernel. See Linux Documentation/admin-guide/init.rst for guidance.");
}

/* The boot processor's first task becomes its idle task. */
static noinline void rest_init(void)
{
	kernel_clone(NULL, kernel_init, NULL);
	kernel_clone(NULL, kthreadd, NULL);
	system_state = SYSTEM_SCHEDULING;
	schedule_idle();
	cpu_startup_entry();
}

void start_kernel(void)
{
	saved_command_line = boot_command_line;
	init_vmlinux_build_id();
	pr_notice("%s", linux_banner);
	pr_info("Command line: %s\n", boot_command_line);
	cpu_init();
	trap_init();
	e820_print();
	strscpy(parsed_command_line, boot_command_line, sizeof(parsed_command_line));
	parse_args(parsed_command_line, true);
	e820_finish_early_params();
	mm_init(initrd_start, initrd_start + initrd_size);
	dmi_setup();
	strscpy(parsed_command_line, boot_command_line, sizeof(parsed_command_line));
	parse_args(parsed_command_line, false);
	sched_init();
	pid_init();
	vfs_caches_init();
	init_IRQ();
	get_smp_config();
	smp_prepare_cpus();
	time_init();
	hrtimers_init_cpu(0);
	init_timers();
	kfence_init();
	console_init();
	pr_notice("Kernel command line: %s\n", saved_command_line);
	proc_init();
	local_irq_enable();
	rest_init();
}
