/* Programs that live in the shell's binary: files and text. Each runs in a process of its own. */
#include "sh.h"

/* Calls fn for each file of the arguments, or for standard input. */
static int for_files(int argc, char **argv, int first, int (*fn)(int fd, const char *name))
{
	int status = 0;

	if (first >= argc)
		return fn(0, "-");
	for (int i = first; i < argc; i++) {
		int fd = strcmp(argv[i], "-") ? open(argv[i], O_RDONLY) : 0;

		if (fd < 0) {
			dprintf(2, "%s: %s: %s\n", argv[0], argv[i], strerror(fd));
			status = 1;
			continue;
		}
		status |= fn(fd, argv[i]);
		if (fd)
			close(fd);
	}
	return status;
}

static int cat_file(int fd, const char *name)
{
	static char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write_all(1, buf, n) < 0)
			return 1;
	if (n < 0)
		dprintf(2, "cat: %s: %s\n", name, strerror(n));
	return n < 0;
}

static int do_cat(int argc, char **argv)
{
	return for_files(argc, argv, 1, cat_file);
}

static void mode_string(u32 mode, char *out)
{
	strcpy(out, "?rwxrwxrwx");
	*out = (mode & S_IFMT) == S_IFDIR ? 'd' : (mode & S_IFMT) == S_IFCHR ? 'c' : '-';
	for (int i = 0; i < 9; i++)
		if (!(mode >> (8 - i) & 1))
			out[1 + i] = '-';
}

static void ls_entry(const char *dir, const char *name, bool details)
{
	char path[1024], mode[12];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
	if (!details)
		printf("%s\n", name);
	else if (stat(path, &st) >= 0) {
		mode_string(st.st_mode, mode);
		if ((st.st_mode & S_IFMT) == S_IFCHR)
			printf("%s %lu 0 0 %4lu,%4lu %s\n", mode, st.st_nlink, st.st_rdev >> 8, st.st_rdev & 255, name);
		else
			printf("%s %lu 0 0 %9ld %s\n", mode, st.st_nlink, st.st_size, name);
	}
}

static int do_ls(int argc, char **argv)
{
	bool all = false, details = false;
	int first = 1, status = 0;
	char *here[] = { argv[0], ".", NULL };

	for (; first < argc && argv[first][0] == '-'; first++)
		for (const char *s = argv[first] + 1; *s; s++) {
			all |= *s == 'a';
			details |= *s == 'l';
		}
	if (first == argc) {
		argv = here;
		argc = 2;
		first = 1;
	}
	for (int i = first; i < argc; i++) {
		static char space[2048];
		struct stat st;
		long n = stat(argv[i], &st);
		int fd;

		if (n < 0) {
			dprintf(2, "ls: %s: %s\n", argv[i], strerror(n));
			status = 1;
			continue;
		}
		if ((st.st_mode & S_IFMT) != S_IFDIR) {
			ls_entry("", argv[i], details);
			continue;
		}
		fd = open(argv[i], O_RDONLY);
		while ((n = syscall(SYS_getdents64, fd, space, sizeof(space))) > 0)
			for (long at = 0; at < n;) {
				struct linux_dirent64 *d = (void *)(space + at);

				at += d->d_reclen;
				if (all || d->d_name[0] != '.')
					ls_entry(argv[i], d->d_name, details);
			}
		close(fd);
	}
	return status;
}

/* A system call for each argument. */
static int each(int argc, char **argv, int first, int nr, long extra)
{
	int status = 0;

	if (first >= argc) {
		dprintf(2, "%s: missing operand\n", argv[0]);
		return 1;
	}
	for (int i = first; i < argc; i++) {
		long err = syscall(nr, argv[i], extra, 0);

		if (err < 0) {
			dprintf(2, "%s: %s: %s\n", argv[0], argv[i], strerror(err));
			status = 1;
		}
	}
	return status;
}

static int do_mkdir(int argc, char **argv)
{
	return each(argc, argv, 1, SYS_mkdir, 0755);
}

static int do_rmdir(int argc, char **argv)
{
	return each(argc, argv, 1, SYS_rmdir, 0);
}

static int do_rm(int argc, char **argv)
{
	bool force = argc > 1 && !strcmp(argv[1], "-f");
	int status = 0;

	for (int i = 1 + force; i < argc; i++) {
		long err = syscall(SYS_unlink, argv[i], 0, 0);

		if (err < 0 && !(force && err == -2)) {
			dprintf(2, "rm: %s: %s\n", argv[i], strerror(err));
			status = 1;
		}
	}
	return status;
}

static int do_touch(int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_WRONLY | O_CREAT);

		if (fd < 0) {
			dprintf(2, "touch: %s: %s\n", argv[i], strerror(fd));
			status = 1;
		} else
			close(fd);
	}
	return status;
}

static int do_cp(int argc, char **argv)
{
	int in, out, status;

	if (argc != 3) {
		dprintf(2, "usage: cp from to\n");
		return 2;
	}
	in = open(argv[1], O_RDONLY);
	out = in < 0 ? in : open(argv[2], O_WRONLY | O_CREAT | O_TRUNC);
	if (out < 0) {
		dprintf(2, "cp: %s: %s\n", argv[in < 0 ? 1 : 2], strerror(out));
		return 1;
	}
	dup2(out, 1);
	status = cat_file(in, argv[1]);
	return status;
}

/* Seconds, with a fraction. */
static int do_sleep(int argc, char **argv)
{
	long t[2] = { 0, 0 }, scale = 100000000;
	char *end = "x";

	if (argc == 2)
		t[0] = strtol(argv[1], &end, 10);
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9'; scale /= 10)
			t[1] += scale * (*end++ - '0');
	if (*end) {
		dprintf(2, "usage: sleep seconds\n");
		return 2;
	}
	return syscall(SYS_nanosleep, t, 0, 0) < 0;
}

static int do_sync(int argc, char **argv)
{
	return syscall(SYS_sync, 0, 0, 0) < 0;
}

static int do_env(int argc, char **argv)
{
	print_vars(true);
	return 0;
}

static int wc_file(int fd, const char *name)
{
	static char buf[4096];
	long lines = 0, words = 0, bytes = 0;
	bool in_word = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			bool blank = buf[i] == ' ' || buf[i] == '\n' || buf[i] == '\t';

			bytes++;
			lines += buf[i] == '\n';
			words += in_word && blank;
			in_word = !blank;
		}
	printf("%7ld %7ld %7ld%s%s\n", lines, words + in_word, bytes, fd ? " " : "", fd ? name : "");
	return n < 0;
}

static int do_wc(int argc, char **argv)
{
	return for_files(argc, argv, 1, wc_file);
}

static long line_limit;

static int head_file(int fd, const char *name)
{
	static struct reader r;
	static char line[4096];

	r = (struct reader){ .fd = fd };
	for (long i = 0; i < line_limit && read_line(&r, line, sizeof(line)) >= 0; i++)
		printf("%s\n", line);
	return 0;
}

/* The last lines of a ring of the latest bytes. */
static int tail_file(int fd, const char *name)
{
	static char ring[65536];
	size_t total = 0, at;
	ssize_t n;
	long lines = 0;

	while ((n = read(fd, ring + total % sizeof(ring), sizeof(ring) - total % sizeof(ring))) > 0)
		total += n;
	for (at = total; at && total - at < sizeof(ring); at--)
		if (ring[(at - 1) % sizeof(ring)] == '\n' && at != total && ++lines == line_limit)
			break;
	for (; at < total; at++)
		write_all(1, &ring[at % sizeof(ring)], 1);
	return n < 0;
}

static int do_head_tail(int argc, char **argv)
{
	int first = 1;

	line_limit = 10;
	if (argc > 2 && !strcmp(argv[1], "-n")) {
		line_limit = strtol(argv[2], NULL, 10);
		first = 3;
	}
	return for_files(argc, argv, first, argv[0][0] == 'h' ? head_file : tail_file);
}

static struct { const char *text; bool invert, count, quiet, nocase; long found; } grep;

static bool contains(const char *line)
{
	size_t n = strlen(grep.text);

	if (!grep.nocase)
		return strstr(line, grep.text) != NULL;
	for (; strlen(line) >= n; line++) {
		size_t i = 0;

		while (i < n && ((line[i] ^ grep.text[i]) == 0 || ((line[i] | 32) == (grep.text[i] | 32) && (line[i] | 32) >= 'a' && (line[i] | 32) <= 'z')))
			i++;
		if (i == n)
			return true;
	}
	return false;
}

static int grep_file(int fd, const char *name)
{
	static struct reader r;
	static char line[4096];

	r = (struct reader){ .fd = fd };
	while (read_line(&r, line, sizeof(line)) >= 0) {
		if (contains(line) == grep.invert)
			continue;
		grep.found++;
		if (!grep.count && !grep.quiet)
			printf("%s\n", line);
	}
	return 0;
}

/* Fixed text, not a pattern. */
static int do_grep(int argc, char **argv)
{
	int first = 1, status;

	for (; first < argc && argv[first][0] == '-' && argv[first][1]; first++)
		for (const char *s = argv[first] + 1; *s; s++) {
			grep.invert |= *s == 'v';
			grep.count |= *s == 'c';
			grep.quiet |= *s == 'q';
			grep.nocase |= *s == 'i';
		}
	if (first >= argc) {
		dprintf(2, "usage: grep [-vcqi] text [file...]\n");
		return 2;
	}
	grep.text = argv[first++];
	status = for_files(argc, argv, first, grep_file);
	if (grep.count)
		printf("%ld\n", grep.found);
	return status ? 2 : !grep.found;
}

static int do_seq(int argc, char **argv)
{
	long from = argc > 2 ? strtol(argv[1], NULL, 10) : 1, to = argc > 1 ? strtol(argv[argc - 1], NULL, 10) : 0;

	for (; from <= to; from++)
		printf("%ld\n", from);
	return 0;
}

command_fn find_applet(const char *name)
{
	static const struct { const char *name; command_fn fn; } table[] = {
		{ "cat", do_cat }, { "ls", do_ls }, { "mkdir", do_mkdir }, { "rmdir", do_rmdir }, { "rm", do_rm }, { "touch", do_touch },
		{ "cp", do_cp }, { "sleep", do_sleep }, { "sync", do_sync }, { "env", do_env }, { "wc", do_wc }, { "head", do_head_tail },
		{ "tail", do_head_tail }, { "grep", do_grep }, { "seq", do_seq }, { "ps", do_ps }, { "insmod", do_insmod },
		{ "rmmod", do_rmmod }, { "lsmod", do_lsmod }, { "dmesg", do_dmesg }, { "uname", do_uname }, { "mount", do_mount },
		{ "reboot", do_reboot }, { "halt", do_reboot }, { "poweroff", do_reboot }, { "kexec", do_kexec },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			return table[i].fn;
	return NULL;
}
