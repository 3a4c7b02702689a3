/* Commands that act on the shell itself, and the small ones that every script uses. */
#include "sh.h"

static int do_true(int argc, char **argv)
{
	return 0;
}

static int do_false(int argc, char **argv)
{
	return 1;
}

static int do_cd(int argc, char **argv)
{
	const char *to = argc > 1 ? argv[1] : get_var("HOME");
	long err = syscall(SYS_chdir, to ? to : "/", 0, 0);

	if (err < 0)
		dprintf(2, "cd: %s: %s\n", to, strerror(err));
	return err < 0;
}

static int do_pwd(int argc, char **argv)
{
	char path[1024];

	if (syscall(SYS_getcwd, path, sizeof(path), 0) < 0)
		return 1;
	printf("%s\n", path);
	return 0;
}

static int do_export(int argc, char **argv)
{
	if (argc == 1)
		print_vars(true);
	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (equals)
			*equals = 0;
		set_var(argv[i], equals ? equals + 1 : get_var(argv[i]) ? get_var(argv[i]) : "", true);
	}
	return 0;
}

static int do_unset(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		unset_var(argv[i]);
	return 0;
}

static int do_set(int argc, char **argv)
{
	print_vars(false);
	return 0;
}

static int do_exit(int argc, char **argv)
{
	exit(argc > 1 ? strtol(argv[1], NULL, 10) & 255 : last_status);
}

/* `exec program`: the shell becomes it. Without one, only the redirections stay. */
static int do_exec(int argc, char **argv)
{
	char path[512];
	long err;

	if (argc == 1)
		return 0;
	snprintf(path, sizeof(path), strchr(argv[1], '/') ? "%s" : "/bin/%s", argv[1]);
	err = execve(path, argv + 1, environment());
	dprintf(2, "exec: %s: %s\n", argv[1], strerror(err));
	return 126;
}

static int do_break(int argc, char **argv)
{
	int n = argc > 1 ? strtol(argv[1], NULL, 10) : 1;

	if (argv[0][0] == 'b')
		loop_break = n > 0 ? n : 1;
	else
		loop_continue = n > 0 ? n : 1;
	return 0;
}

static int do_read(int argc, char **argv)
{
	char line[1024];
	size_t n = 0;
	char c;
	ssize_t got;

	while ((got = read(0, &c, 1)) == 1 && c != '\n')
		if (n + 1 < sizeof(line))
			line[n++] = c;
	line[n] = 0;
	set_var(argc > 1 ? argv[1] : "REPLY", line, false);
	return got == 1 ? 0 : 1;
}

static int do_wait(int argc, char **argv)
{
	int status = 0, pid = argc > 1 ? strtol(argv[1], NULL, 10) : -1, got, result = 0;

	while ((got = waitpid(pid, &status, 0)) > 0) {
		result = report_status(got, status);
		if (pid > 0)
			return result;
	}
	return pid > 0 ? 127 : 0;
}

static int do_kill(int argc, char **argv)
{
	static const struct { const char *name; int number; } names[] = { { "HUP", 1 }, { "INT", 2 }, { "KILL", 9 }, { "SEGV", 11 }, { "TERM", 15 } };
	int sig = SIGTERM, first = 1, status = 0;

	if (argc > 1 && argv[1][0] == '-') {
		char *end;

		sig = strtol(argv[1] + 1, &end, 10);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (!strcmp(argv[1] + 1, names[i].name)) {
				sig = names[i].number;
				end = "";
			}
		if (*end) {
			dprintf(2, "kill: %s: no such signal\n", argv[1] + 1);
			return 1;
		}
		first = 2;
	}
	for (int i = first; i < argc; i++) {
		long err = syscall(SYS_kill, strtol(argv[i], NULL, 10), sig, 0);

		if (err < 0) {
			dprintf(2, "kill: %s: %s\n", argv[i], strerror(err));
			status = 1;
		}
	}
	return status;
}

/* One write for all of it: files in /proc take a value whole. */
static int do_echo(int argc, char **argv)
{
	bool newline = argc < 2 || strcmp(argv[1], "-n");
	size_t size = 1, n = 0;
	char *line;
	long err;

	for (int i = 1; i < argc; i++)
		size += strlen(argv[i]) + 1;
	line = arena_alloc(size);
	for (int i = newline ? 1 : 2; i < argc; i++) {
		strcpy(line + n, argv[i]);
		n += strlen(argv[i]);
		if (i + 1 < argc)
			line[n++] = ' ';
	}
	if (newline)
		line[n++] = '\n';
	err = write_all(1, line, n);
	if (err < 0)
		dprintf(2, "echo: write error: %s\n", strerror(err));
	return err < 0;
}

command_fn find_builtin(const char *name)
{
	static const struct { const char *name; command_fn fn; } table[] = {
		{ ":", do_true }, { "true", do_true }, { "false", do_false }, { "cd", do_cd }, { "pwd", do_pwd }, { "export", do_export },
		{ "unset", do_unset }, { "set", do_set }, { "exit", do_exit }, { "exec", do_exec }, { "break", do_break },
		{ "continue", do_break }, { "read", do_read }, { "wait", do_wait }, { "kill", do_kill }, { "echo", do_echo },
		{ "test", run_test }, { "[", run_test }, { "printf", run_printf },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			return table[i].fn;
	return NULL;
}
