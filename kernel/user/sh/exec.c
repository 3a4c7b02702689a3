/* The tree is run: pipelines, lists, loops, redirections, processes. */
#include "sh.h"

int last_status, loop_break, loop_continue;

/* Status of a child as $? has it; says how a killed one died. */
int report_status(int pid, int status)
{
	static const char *const signals[] = { [1] = "Hangup", [4] = "Illegal instruction", [5] = "Trace/breakpoint trap", [6] = "Aborted", [7] = "Bus error", [8] = "Floating point exception", [9] = "Killed", [11] = "Segmentation fault", [15] = "Terminated" };
	int sig = status & 127;

	if (!sig)
		return status >> 8 & 255;
	if (sig < (int)ARRAY_SIZE(signals) && signals[sig])
		dprintf(2, "%s\n", signals[sig]);
	return 128 + sig;
}

static int wait_for(int pid)
{
	int status, got;

	while ((got = waitpid(pid, &status, 0)) == -4) /* interrupted */
		;
	return got == pid ? report_status(pid, status) : 127;
}

/* Puts the files of a command in place; saved[] remembers what was there, for commands of the shell itself. */
static bool redirect(struct redir *r, int *saved)
{
	static const int flags[] = { [REDIR_IN] = O_RDONLY, [REDIR_OUT] = O_WRONLY | O_CREAT | O_TRUNC, [REDIR_APPEND] = O_WRONLY | O_CREAT | O_APPEND };

	for (; r; r = r->next) {
		char *target = expand_single(r->target);
		int fd;

		if (!target)
			return false;
		if (saved && r->fd < 10 && saved[r->fd] == -1) {
			int at = 20 + r->fd;

			saved[r->fd] = dup2(r->fd, at) < 0 ? -2 : at; /* -2: was closed */
		}
		if (r->type == REDIR_DUP) {
			if (!strcmp(target, "-")) {
				close(r->fd);
				continue;
			}
			fd = strtol(target, NULL, 10);
			if (dup2(fd, r->fd) < 0) {
				dprintf(2, "sh: %s: Bad file descriptor\n", target);
				return false;
			}
			continue;
		}
		fd = open(target, flags[r->type]);
		if (fd < 0) {
			dprintf(2, "sh: %s: %s\n", target, strerror(fd));
			return false;
		}
		if (fd != r->fd) {
			dup2(fd, r->fd);
			close(fd);
		}
	}
	return true;
}

static void restore(const int *saved)
{
	for (int fd = 0; fd < 10; fd++) {
		if (saved[fd] == -2)
			close(fd);
		else if (saved[fd] >= 0) {
			dup2(saved[fd], fd);
			close(saved[fd]);
		}
	}
}

static bool is_assignment(const char *word)
{
	const char *s = word;

	while (*s == '_' || ((*s | 32) >= 'a' && (*s | 32) <= 'z') || (s > word && *s >= '0' && *s <= '9'))
		s++;
	return s > word && *s == '=';
}

static bool assign(const char *word, bool export)
{
	char name[64];
	const char *equals = strchr(word, '=');
	size_t n = equals - word;
	char *value = expand_single(equals + 1);

	if (!value || n >= sizeof(name))
		return false;
	memcpy(name, word, n);
	name[n] = 0;
	set_var(name, value, export);
	return true;
}

/* In a process of its own: another program, or one of ours. */
static void run_program(char **argv, int argc)
{
	char path[512];
	const char *dirs = get_var("PATH");
	command_fn applet;
	long err = -2;

	signal(SIGINT, SIG_DFL);
	if (strchr(argv[0], '/'))
		err = execve(argv[0], argv, environment());
	else {
		for (dirs = dirs ? dirs : "/bin"; err == -2 && *dirs;) {
			size_t n = 0;

			while (dirs[n] && dirs[n] != ':')
				n++;
			snprintf(path, sizeof(path), "%s", dirs);
			if (n < sizeof(path))
				snprintf(path + n, sizeof(path) - n, "/%s", argv[0]);
			err = execve(path, argv, environment());
			dirs += n + (dirs[n] == ':');
		}
		applet = err == -2 ? find_applet(argv[0]) : NULL;
		if (applet)
			exit(applet(argc, argv));
	}
	if (err == -8 && strchr(argv[0], '/')) { /* not ELF: a script */
		char *script[] = { "sh", argv[0], NULL };

		execve("/bin/sh", script, environment());
	}
	if (err == -2 && !strchr(argv[0], '/'))
		dprintf(2, "sh: %s: not found\n", argv[0]);
	else
		dprintf(2, "sh: %s: %s\n", argv[0], strerror(err));
	exit(err == -2 ? 127 : 126);
}

static int run_command(struct node *n)
{
	struct word *words = n->words, *first = words;
	int saved[10], argc, pid, status;
	command_fn builtin;
	char **argv;

	while (words && is_assignment(words->text))
		words = words->next;
	argv = expand_words(words, &argc);
	if (!argv)
		return 1;
	if (!argc) { /* only assignments: their substitutions give the status */
		last_status = 0;
		for (; first != words; first = first->next)
			if (!assign(first->text, false))
				return 1;
		status = last_status;
		if (n->redirs) {
			memset(saved, 0xff, sizeof(saved));
			status = redirect(n->redirs, saved) ? 0 : 1;
			restore(saved);
		}
		return status;
	}
	builtin = find_builtin(argv[0]);
	if (builtin) {
		memset(saved, 0xff, sizeof(saved));
		for (; first != words; first = first->next)
			assign(first->text, false);
		status = redirect(n->redirs, saved) ? builtin(argc, argv) : 1;
		if (strcmp(argv[0], "exec") || status)
			restore(saved);
		return status;
	}
	pid = fork();
	if (pid < 0) {
		dprintf(2, "sh: can't fork: %s\n", strerror(pid));
		return 1;
	}
	if (pid == 0) {
		for (; first != words; first = first->next)
			assign(first->text, true);
		if (!redirect(n->redirs, NULL))
			exit(1);
		run_program(argv, argc);
	}
	return wait_for(pid);
}

static int run_pipe(struct node *n)
{
	int fds[2], left, right, status;

	if (syscall(SYS_pipe, fds, 0, 0) < 0)
		return 1;
	left = fork();
	if (left == 0) {
		interactive = false;
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		exit(run(n->a));
	}
	right = fork();
	if (right == 0) {
		interactive = false;
		dup2(fds[0], 0);
		close(fds[0]);
		close(fds[1]);
		exit(run(n->b));
	}
	close(fds[0]);
	close(fds[1]);
	status = right > 0 ? wait_for(right) : 1;
	if (left > 0)
		waitpid(left, &fds[0], 0);
	return status;
}

static int run_child(struct node *n, bool wait)
{
	int pid = fork();

	if (pid == 0) {
		interactive = false;
		if (!wait)
			signal(SIGINT, SIG_IGN);
		if (!redirect(n->redirs, NULL))
			exit(1);
		exit(run(n->a));
	}
	if (pid < 0)
		return 1;
	return wait ? wait_for(pid) : 0;
}

/* True when the loop that asks has to end. */
static bool leave_loop(void)
{
	if (loop_break) {
		loop_break--;
		return true;
	}
	if (loop_continue && --loop_continue)
		return true;
	return false;
}

static int run_loop(struct node *n)
{
	int status = 0, count;
	char **list;

	if (n->type == NODE_FOR) {
		list = expand_words(n->words, &count);
		for (int i = 0; list && i < count; i++) {
			set_var(n->name, list[i], false);
			status = run(n->a);
			if (leave_loop())
				break;
		}
		return status;
	}
	while ((run(n->a) == 0) == (n->type == NODE_WHILE)) {
		status = run(n->b);
		if (leave_loop())
			break;
	}
	return status;
}

static int run_compound(struct node *n)
{
	switch (n->type) {
	case NODE_GROUP:
		return run(n->a);
	case NODE_IF:
		return run(n->a) == 0 ? run(n->b) : n->c ? run(n->c) : 0;
	default:
		return run_loop(n);
	}
}

static int run_node(struct node *n)
{
	int saved[10], status;

	switch (n->type) {
	case NODE_COMMAND:
		return run_command(n);
	case NODE_PIPE:
		return run_pipe(n);
	case NODE_AND:
		status = run(n->a);
		return status == 0 ? run(n->b) : status;
	case NODE_OR:
		status = run(n->a);
		return status == 0 ? 0 : run(n->b);
	case NODE_SEQUENCE:
		status = run(n->a);
		return loop_break || loop_continue ? status : run(n->b);
	case NODE_NOT:
		return run(n->a) == 0;
	case NODE_SUBSHELL:
		return run_child(n, true);
	case NODE_BACKGROUND:
		return run_child(n, false);
	default:
		memset(saved, 0xff, sizeof(saved));
		status = redirect(n->redirs, saved) ? run_compound(n) : 1;
		restore(saved);
		return status;
	}
}

int run(struct node *n)
{
	size_t mark = arena_mark();

	if (n)
		last_status = run_node(n);
	arena_release(mark);
	return last_status;
}

int run_text(const char *text)
{
	size_t mark = arena_mark();
	struct node *tree;

	if (parse(text, &tree) == PARSE_OK)
		run(tree);
	else {
		dprintf(2, "sh: %s\n", parse_error);
		last_status = 2;
	}
	arena_release(mark);
	return last_status;
}
