/* Programs that live in the shell's binary: modules, processes, the log, the end of the machine. */
#include "sh.h"

/* `PID (COMM) STATE PPID ...` of one task. */
static void ps_task(const char *pid)
{
	char path[64], text[512], *comm, *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	comm = strchr(text, '(');
	end = strrchr(text, ')');
	if (!comm || !end)
		return;
	*end = 0;
	printf("%5s %5ld %c    %s\n", pid, strtol(end + 4, NULL, 10), end[2], comm + 1);
}

int do_ps(int argc, char **argv)
{
	static char space[4096];
	int fd = open("/proc", O_RDONLY);
	long n;

	if (fd < 0) {
		dprintf(2, "ps: /proc: %s\n", strerror(fd));
		return 1;
	}
	printf("  PID  PPID STAT COMMAND\n");
	while ((n = syscall(SYS_getdents64, fd, space, sizeof(space))) > 0)
		for (long at = 0; at < n;) {
			struct linux_dirent64 *d = (void *)(space + at);

			at += d->d_reclen;
			if (d->d_name[0] >= '0' && d->d_name[0] <= '9')
				ps_task(d->d_name);
		}
	return 0;
}

/* What the loader's errno means, in the words of kmod. */
static const char *module_error(long err)
{
	switch (-err) {
	case 8:
		return "Invalid module format";
	case 2:
		return "Unknown symbol in module";
	case 3:
		return "Module has wrong symbol version";
	case 22:
		return "Invalid parameters";
	case 129:
		return "Key was rejected by service";
	default:
		return strerror(err);
	}
}

/* A file, or the name of a module in /lib/modules. */
int do_insmod(int argc, char **argv)
{
	char path[256], params[512] = "";
	struct utsname uts;
	bool force = argc > 1 && !strcmp(argv[1], "-f"); /* no version checks, and no signature */
	const char *file = argc > 1 + force ? argv[1 + force] : NULL, *end;
	size_t used = 0;
	long err;
	int fd;

	if (!file) {
		dprintf(2, "usage: insmod [-f] module [parameter=value...]\n");
		return 2;
	}
	fd = open(file, O_RDONLY);
	if (fd < 0 && !strchr(file, '/')) {
		syscall(SYS_uname, &uts, 0, 0);
		end = strstr(file, ".ko");
		snprintf(path, sizeof(path), "/lib/modules/%s/%s%s", uts.release, file, end && !end[3] ? "" : ".ko");
		fd = open(path, O_RDONLY);
	}
	if (fd < 0) {
		dprintf(2, "insmod: ERROR: could not load module %s: %s\n", file, strerror(fd));
		return 1;
	}
	for (int i = 2 + force; i < argc && used < sizeof(params); i++)
		used += snprintf(params + used, sizeof(params) - used, "%s%s", i > 2 + force ? " " : "", argv[i]);
	err = syscall(SYS_finit_module, fd, params, force ? 3 : 0);
	if (err < 0)
		dprintf(2, "insmod: ERROR: could not insert module %s: %s\n", file, module_error(err));
	return err < 0;
}

int do_rmmod(int argc, char **argv)
{
	bool force = argc > 1 && !strcmp(argv[1], "-f");
	int status = 0;

	for (int i = 1 + force; i < argc; i++) {
		long err = syscall(SYS_delete_module, argv[i], force ? O_TRUNC : 0, 0);

		if (err == -2)
			dprintf(2, "rmmod: ERROR: Module %s is not currently loaded\n", argv[i]);
		else if (err == -11)
			dprintf(2, "rmmod: ERROR: Module %s is in use\n", argv[i]);
		else if (err < 0)
			dprintf(2, "rmmod: ERROR: could not remove '%s': %s\n", argv[i], strerror(err));
		status |= err < 0;
	}
	return status;
}

int do_lsmod(int argc, char **argv)
{
	struct reader r = { .fd = open("/proc/modules", O_RDONLY) };
	char line[256];

	if (r.fd < 0)
		return 1;
	printf("Module                  Size  Used by\n");
	while (read_line(&r, line, sizeof(line)) >= 0) {
		char *size = strchr(line, ' '), *end;
		long bytes;

		if (!size)
			continue;
		*size++ = 0;
		bytes = strtol(size, &end, 10);
		printf("%-19s %8ld  %ld\n", line, bytes, strtol(end, NULL, 10));
	}
	return 0;
}

/* The kernel's log, without the level in front of each line. */
int do_dmesg(int argc, char **argv)
{
	bool clear = argc > 1 && (!strcmp(argv[1], "-c") || !strcmp(argv[1], "-C"));
	long size = syscall(SYS_syslog, 10, 0, 0), n;
	char *buf;

	if (argc > 2 && !strcmp(argv[1], "-n"))
		return syscall(SYS_syslog, 8, 0, strtol(argv[2], NULL, 10)) < 0;
	if (argc > 1 && !strcmp(argv[1], "-C"))
		return syscall(SYS_syslog, 5, 0, 0) < 0;
	buf = size > 0 ? malloc(size + 1) : NULL;
	n = buf ? syscall(SYS_syslog, clear ? 4 : 3, buf, size) : -12;
	if (n < 0) {
		dprintf(2, "dmesg: %s\n", strerror(n));
		return 1;
	}
	buf[n] = 0;
	for (char *s = buf, *end; *s; s = end) {
		end = strchr(s, '\n');
		end = end ? end + 1 : s + strlen(s);
		if (*s == '<' && strchr(s, '>'))
			s = strchr(s, '>') + 1;
		write_all(1, s, end - s);
	}
	return 0;
}

int do_uname(int argc, char **argv)
{
	const char *options = argc > 1 ? argv[1] : "-s";
	struct utsname u;
	const char *sep = "";

	syscall(SYS_uname, &u, 0, 0);
	if (!strcmp(options, "-a"))
		options = "-snrvm";
	for (const char *s = options + 1; *s; s++) {
		const char *text = *s == 's' ? u.sysname : *s == 'n' ? u.nodename : *s == 'r' ? u.release : *s == 'v' ? u.version : *s == 'm' ? u.machine : NULL;

		if (!text) {
			dprintf(2, "usage: uname [-asnrvm]\n");
			return 2;
		}
		printf("%s%s", sep, text);
		sep = " ";
	}
	printf("\n");
	return 0;
}

/* mount: the table; mount -t TYPE SOURCE TARGET. */
int do_mount(int argc, char **argv)
{
	struct reader r = { .fd = open("/proc/mounts", O_RDONLY) };
	char line[256];
	long err;

	if (argc == 1) {
		while (read_line(&r, line, sizeof(line)) >= 0)
			printf("%s\n", line);
		return 0;
	}
	if (argc != 5 || strcmp(argv[1], "-t")) {
		dprintf(2, "usage: mount -t type source target\n");
		return 2;
	}
	err = syscall6(SYS_mount, (long)argv[3], (long)argv[4], (long)argv[2], 0, 0);
	if (err < 0)
		dprintf(2, "mount: %s: %s\n", argv[4], strerror(err));
	return err < 0;
}

int do_reboot(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	u32 command = *name == 'r' ? 0x01234567 : *name == 'h' ? 0xcdef0123 : 0x4321fedc;
	long err = syscall6(SYS_reboot, 0xfee1dead, 0x28121969, command, 0, 0);

	dprintf(2, "%s: %s\n", name, strerror(err));
	return 1;
}
