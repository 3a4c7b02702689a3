/* Words to arguments: quotes, variables, command substitution, splitting at blanks, file names. */
#include "sh.h"

#define MAX_FIELDS 512
#define FIELD_MAX 8192

/* The field under construction; quoted[] marks bytes that are not patterns. */
static struct { char text[FIELD_MAX]; bool quoted[FIELD_MAX]; size_t n; bool some, pattern; } f;
static char *fields[MAX_FIELDS + 1];
static int field_count;
static bool too_long;

static void add(char c, bool quoted)
{
	if (f.n + 1 >= FIELD_MAX) {
		too_long = true;
		return;
	}
	f.text[f.n] = c;
	f.quoted[f.n++] = quoted;
	f.some = true;
	f.pattern |= !quoted && (c == '*' || c == '?');
}

static bool matches(const char *p, const bool *quoted, size_t n, const char *name)
{
	if (!n)
		return !*name;
	if (*p == '*' && !*quoted) {
		for (;; name++) {
			if (matches(p + 1, quoted + 1, n - 1, name))
				return true;
			if (!*name)
				return false;
		}
	}
	return *name && (*p == *name || (*p == '?' && !*quoted)) && matches(p + 1, quoted + 1, n - 1, name + 1);
}

static void add_field(const char *text, size_t n)
{
	char *copy = arena_alloc(n + 1);

	if (field_count >= MAX_FIELDS) {
		too_long = true;
		return;
	}
	memcpy(copy, text, n);
	copy[n] = 0;
	fields[field_count++] = copy;
}

/* Patterns stand for the files that match in their last component; for themselves when none does. */
static bool glob(void)
{
	size_t slash = f.n;
	char dir[FIELD_MAX], space[1024];
	int fd, first = field_count;
	long n;

	while (slash && f.text[slash - 1] != '/')
		slash--;
	memcpy(dir, f.text, slash);
	strcpy(dir + slash, slash ? "" : ".");
	fd = open(dir, O_RDONLY);
	if (fd < 0)
		return false;
	while ((n = syscall(SYS_getdents64, fd, space, sizeof(space))) > 0)
		for (long at = 0; at < n;) {
			struct linux_dirent64 *d = (void *)(space + at);

			at += d->d_reclen;
			if ((d->d_name[0] == '.' && f.text[slash] != '.') || !matches(f.text + slash, f.quoted + slash, f.n - slash, d->d_name))
				continue;
			if (slash + strlen(d->d_name) + 1 > sizeof(dir))
				continue;
			strcpy(dir + slash, d->d_name);
			add_field(dir, strlen(dir));
		}
	close(fd);
	for (int i = first + 1; i < field_count; i++) /* in order of name */
		for (int k = i; k > first && strcmp(fields[k - 1], fields[k]) > 0; k--) {
			char *swap = fields[k];

			fields[k] = fields[k - 1];
			fields[k - 1] = swap;
		}
	return field_count > first;
}

static void end_field(void)
{
	if (f.some && !(f.pattern && glob()))
		add_field(f.text, f.n);
	f.n = 0;
	f.some = f.pattern = false;
}

static void add_value(const char *value, bool quoted, bool split)
{
	for (; *value; value++)
		if (split && !quoted && (*value == ' ' || *value == '\t' || *value == '\n'))
			end_field();
		else
			add(*value, quoted);
}

/* Output of a command, without the newlines at its end. */
static void substitute(const char *text, size_t n, bool quoted, bool split)
{
	static char out[FIELD_MAX];
	size_t length = 0;
	int fds[2], pid, status;
	char *command = arena_alloc(n + 1);
	ssize_t got;

	memcpy(command, text, n);
	command[n] = 0;
	if (syscall(SYS_pipe, fds, 0, 0) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		interactive = false;
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		exit(run_text(command));
	}
	close(fds[1]);
	while ((got = read(fds[0], out + length, sizeof(out) - 1 - length)) > 0)
		length += got;
	close(fds[0]);
	waitpid(pid, &status, 0);
	last_status = report_status(pid, status);
	while (length && out[length - 1] == '\n')
		length--;
	out[length] = 0;
	add_value(out, quoted, split);
}

static bool is_name(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* What follows a `$`; returns where the word goes on. */
static const char *dollar(const char *s, bool quoted, bool split)
{
	char name[64], number[16];
	size_t n = 0;
	const char *value;

	switch (*s) {
	case '?':
	case '$':
	case '#':
		snprintf(number, sizeof(number), "%d", *s == '?' ? last_status : *s == '$' ? shell_pid : positional_count);
		add_value(number, quoted, split);
		f.some = true;
		return s + 1;
	case '@':
	case '*':
		for (int i = 0; i < positional_count; i++) {
			if (i && split && (*s == '@' || !quoted))
				end_field();
			else if (i)
				add(' ', quoted);
			f.some |= quoted;
			add_value(positional[i + 1], quoted, split);
		}
		return s + 1;
	}
	if (*s >= '0' && *s <= '9') {
		if (*s - '0' <= positional_count)
			add_value(positional[*s - '0'], quoted, split);
		return s + 1;
	}
	if (*s == '{') {
		for (s++; is_name(*s) && n + 1 < sizeof(name); s++)
			name[n++] = *s;
		name[n] = 0;
		value = get_var(name);
		if (s[0] == ':' && s[1] == '-') {
			size_t length = 0;

			for (s += 2; s[length] && s[length] != '}'; length++)
				if (!value || !*value)
					add(s[length], quoted);
			s += length;
		}
		if (value)
			add_value(value, quoted, split);
		return *s == '}' ? s + 1 : s;
	}
	if (!is_name(*s)) {
		add('$', quoted);
		return s;
	}
	for (; is_name(*s) && n + 1 < sizeof(name); s++)
		name[n++] = *s;
	name[n] = 0;
	value = get_var(name);
	if (value)
		add_value(value, quoted, split);
	return s;
}

/* Length of the text inside $( ) that begins at s. */
static size_t parens(const char *s)
{
	const char *start = s;

	for (int level = 1; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (*s == '\'' || *s == '"') {
			char quote = *s;

			for (s++; *s && *s != quote; s++)
				s += *s == '\\' && quote == '"' && s[1];
			if (!*s)
				break;
		} else if (*s == '(')
			level++;
		else if (*s == ')' && !--level)
			break;
	}
	return s - start;
}

static void expand(const char *s, bool split)
{
	bool in_double = false;

	if (s[0] == '~' && (!s[1] || s[1] == '/')) {
		add_value(get_var("HOME") ? get_var("HOME") : "/", true, false);
		s++;
	}
	while (*s) {
		if (*s == '\'' && !in_double) {
			f.some = true;
			for (s++; *s && *s != '\''; s++)
				add(*s, true);
			s += *s == '\'';
		} else if (*s == '"') {
			f.some = true;
			in_double = !in_double;
			s++;
		} else if (*s == '\\' && s[1]) {
			if (in_double && !strchr("$`\"\\\n", s[1]))
				add('\\', true);
			if (s[1] != '\n')
				add(s[1], true);
			s += 2;
		} else if (*s == '$' && s[1] == '(') {
			size_t n = parens(s + 2);

			substitute(s + 2, n, in_double, split);
			s += n + 3;
		} else if (*s == '`') {
			size_t n = 0;

			while (s[1 + n] && s[1 + n] != '`')
				n++;
			substitute(s + 1, n, in_double, split);
			s += n + 2;
		} else if (*s == '$')
			s = dollar(s + 1, in_double, split);
		else
			add(*s++, in_double);
	}
}

static bool complain(void)
{
	if (too_long)
		dprintf(2, "sh: words longer than %d bytes, or more than %d of them\n", FIELD_MAX, MAX_FIELDS);
	return too_long;
}

char **expand_words(struct word *words, int *count)
{
	char **list;

	field_count = 0;
	too_long = false;
	f.n = 0;
	f.some = f.pattern = false;
	for (; words; words = words->next) {
		expand(words->text, true);
		end_field();
	}
	if (complain())
		return NULL;
	list = arena_alloc((field_count + 1) * sizeof(*list));
	memcpy(list, fields, field_count * sizeof(*list));
	list[field_count] = NULL;
	*count = field_count;
	return list;
}

char *expand_single(const char *word)
{
	char *copy;

	too_long = false;
	f.n = 0;
	f.some = f.pattern = false;
	expand(word, false);
	copy = arena_alloc(f.n + 1);
	memcpy(copy, f.text, f.n);
	copy[f.n] = 0;
	f.n = 0;
	f.some = f.pattern = false;
	return complain() ? NULL : copy;
}
