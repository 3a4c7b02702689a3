/* The shell: from a terminal, a file, a string; its memory and variables. */
#include "sh.h"

#define ARENA_SIZE (1 << 20)
#define TEXT_MAX (64 << 10)
static char arena[ARENA_SIZE] __attribute__((aligned(16)));
static size_t arena_used;
bool interactive;
int shell_pid, positional_count;
char **positional;

void *arena_alloc(size_t n)
{
	size_t at = arena_used;

	n = (n + 15) & ~15UL;
	if (n > ARENA_SIZE - at) {
		dprintf(2, "sh: a command needs more than %d bytes\n", ARENA_SIZE);
		exit(2);
	}
	arena_used += n;
	return arena + at;
}

size_t arena_mark(void)
{
	return arena_used;
}

void arena_release(size_t mark)
{
	arena_used = mark;
}

struct variable { struct variable *next; bool exported; char *value; char name[]; };
static struct variable *variables;

static struct variable *find(const char *name)
{
	struct variable *v = variables;

	while (v && strcmp(v->name, name))
		v = v->next;
	return v;
}

const char *get_var(const char *name)
{
	struct variable *v = find(name);

	return v ? v->value : NULL;
}

void set_var(const char *name, const char *value, bool export)
{
	struct variable *v = find(name);
	char *copy = malloc(strlen(value) + 1);

	if (!v && copy) {
		v = malloc(sizeof(*v) + strlen(name) + 1);
		if (v) {
			*v = (struct variable){ .next = variables };
			strcpy(v->name, name);
			variables = v;
		}
	}
	if (!v || !copy) {
		dprintf(2, "sh: %s: no memory for its value\n", name);
		return;
	}
	free(v->value);
	v->value = strcpy(copy, value);
	v->exported |= export;
}

void unset_var(const char *name)
{
	for (struct variable **link = &variables; *link; link = &(*link)->next)
		if (!strcmp((*link)->name, name)) {
			struct variable *gone = *link;

			*link = gone->next;
			free(gone->value);
			free(gone);
			return;
		}
}

char **environment(void)
{
	char **list;
	int n = 0;

	for (struct variable *v = variables; v; v = v->next)
		n += v->exported;
	list = arena_alloc((n + 1) * sizeof(*list));
	n = 0;
	for (struct variable *v = variables; v; v = v->next) {
		size_t size = strlen(v->name) + strlen(v->value) + 2;

		if (!v->exported)
			continue;
		list[n] = arena_alloc(size);
		snprintf(list[n++], size, "%s=%s", v->name, v->value);
	}
	list[n] = NULL;
	return list;
}

void print_vars(bool exported_only)
{
	for (struct variable *v = variables; v; v = v->next)
		if (v->exported || !exported_only)
			printf("%s=%s\n", v->name, v->value);
}

/* Lines from fd 0, run as soon as they make a whole command. */
static int run_input(void)
{
	static struct reader reader;
	static char text[TEXT_MAX];
	struct node *tree;
	size_t used = 0;

	for (;;) {
		size_t mark = arena_mark();
		long n;

		if (interactive)
			write_all(1, used ? "> " : "# ", 2);
		n = read_line(&reader, text + used, sizeof(text) - used - 1);
		if (n < 0)
			break;
		used += n;
		if (used + 2 >= sizeof(text)) {
			dprintf(2, "sh: a command longer than %d bytes\n", TEXT_MAX);
			used = 0;
			continue;
		}
		text[used++] = '\n';
		text[used] = 0;
		switch (parse(text, &tree)) {
		case PARSE_INCOMPLETE:
			arena_release(mark);
			continue;
		case PARSE_ERROR:
			dprintf(2, "sh: %s\n", parse_error);
			last_status = 2;
			break;
		case PARSE_OK:
			run(tree);
			loop_break = loop_continue = 0;
		}
		arena_release(mark);
		used = 0;
	}
	if (used) {
		dprintf(2, "sh: %s\n", parse_error);
		last_status = 2;
	}
	return last_status;
}

static int run_file(const char *path)
{
	static char text[TEXT_MAX];
	size_t used = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		dprintf(2, "sh: %s: %s\n", path, strerror(fd));
		return 127;
	}
	while (used < sizeof(text) - 1 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += n;
	close(fd);
	if (used == sizeof(text) - 1) {
		dprintf(2, "sh: %s: a script longer than %d bytes\n", path, TEXT_MAX);
		return 2;
	}
	text[used] = 0;
	return run_text(text);
}

int main(int argc, char **argv, char **envp)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	command_fn applet = find_applet(name);
	struct termios t;

	for (; *envp; envp++) {
		char *equals = strchr(*envp, '=');

		if (!equals)
			continue;
		*equals = 0;
		set_var(*envp, equals + 1, true);
		*equals = '=';
	}
	shell_pid = getpid();
	if (strcmp(name, "sh") && applet)
		return applet(argc, argv);
	positional = argv;
	if (argc > 2 && !strcmp(argv[1], "-c")) {
		positional = argc > 3 ? argv + 3 : argv;
		positional_count = argc > 3 ? argc - 4 : 0;
		return run_text(argv[2]);
	}
	if (argc > 1) {
		positional = argv + 1;
		positional_count = argc - 2;
		return run_file(argv[1]);
	}
	interactive = !ioctl(0, TCGETS, (unsigned long)&t) && t.c_lflag & TERMIOS_ECHO;
	signal(SIGINT, SIG_IGN);
	return run_input();
}
