/* Shell text to a tree, by recursive descent. */
#include "sh.h"

enum token { T_END, T_NEWLINE, T_WORD, T_AND, T_OR, T_SEMI, T_AMP, T_PIPE, T_LPAREN, T_RPAREN, T_REDIR };
static const char *at;
static enum token token;
static const char *token_text;
static struct redir token_redir;
static enum parse_result result;
static int depth;
char parse_error[128];

static struct node *parse_list(void);

static void fail(enum parse_result why, const char *what)
{
	if (result != PARSE_OK)
		return;
	result = why;
	snprintf(parse_error, sizeof(parse_error), "syntax error near %s", what);
}

/* End of `...`, $(...) or quotes that begin at s; NULL when they don't end. */
static const char *skip_quoted(const char *s)
{
	char quote = *s;

	if (quote == '$') {
		int level = 1;

		for (s += 2; *s && level; s++) {
			if (*s == '\\' && s[1])
				s++;
			else if (*s == '\'' || *s == '"') {
				s = skip_quoted(s);
				if (!s)
					return NULL;
				s--;
			} else if (*s == '(')
				level++;
			else if (*s == ')')
				level--;
		}
		return level ? NULL : s;
	}
	for (s++; *s && *s != quote; s++) {
		if (*s == '\\' && quote != '\'' && s[1])
			s++;
		else if (quote == '"' && *s == '$' && s[1] == '(') {
			s = skip_quoted(s);
			if (!s)
				return NULL;
			s--;
		}
	}
	return *s ? s + 1 : NULL;
}

static void read_word(void)
{
	const char *start = at;
	char *copy;

	while (*at && !strchr(" \t\n;&|()<>", *at)) {
		if (*at == '\'' || *at == '"' || *at == '`' || (*at == '$' && at[1] == '(')) {
			const char *end = skip_quoted(at);

			if (!end) {
				fail(PARSE_INCOMPLETE, "an open quote");
				at += strlen(at);
				token = T_END;
				return;
			}
			at = end;
		} else
			at += *at == '\\' && at[1] ? 2 : 1;
	}
	copy = arena_alloc(at - start + 1);
	memcpy(copy, start, at - start);
	copy[at - start] = 0;
	token_text = copy;
	token = T_WORD;
}

static void read_redir(int fd)
{
	bool out = *at++ == '>';

	token = T_REDIR;
	token_redir = (struct redir){ fd >= 0 ? fd : out, out ? REDIR_OUT : REDIR_IN, NULL, NULL };
	if (*at == '&') {
		token_redir.type = REDIR_DUP;
		at++;
	} else if (out && *at == '>') {
		token_redir.type = REDIR_APPEND;
		at++;
	}
}

static void next_token(void)
{
	for (;;) {
		if (*at == ' ' || *at == '\t')
			at++;
		else if (*at == '\\' && at[1] == '\n')
			at += 2;
		else if (*at == '#')
			while (*at && *at != '\n')
				at++;
		else
			break;
	}
	token_text = NULL;
	switch (*at) {
	case 0:
		token = T_END;
		return;
	case '\n':
		at++;
		token = T_NEWLINE;
		return;
	case ';':
		at++;
		token = T_SEMI;
		return;
	case '&':
		at++;
		token = *at == '&' ? (at++, T_AND) : T_AMP;
		return;
	case '|':
		at++;
		token = *at == '|' ? (at++, T_OR) : T_PIPE;
		return;
	case '(':
		at++;
		token = T_LPAREN;
		return;
	case ')':
		at++;
		token = T_RPAREN;
		return;
	case '<':
	case '>':
		read_redir(-1);
		return;
	}
	if (*at >= '0' && *at <= '9' && (at[1] == '<' || at[1] == '>')) {
		int fd = *at++ - '0';

		read_redir(fd);
		return;
	}
	read_word();
}

static bool at_word(const char *word)
{
	return token == T_WORD && !strcmp(token_text, word);
}

static void expect(const char *word)
{
	if (at_word(word))
		next_token();
	else
		fail(token == T_END ? PARSE_INCOMPLETE : PARSE_ERROR, word);
}

static void skip_newlines(void)
{
	while (token == T_NEWLINE)
		next_token();
}

static struct node *new_node(enum node_type type, struct node *a, struct node *b)
{
	struct node *n = arena_alloc(sizeof(*n));

	*n = (struct node){ .type = type, .a = a, .b = b };
	return n;
}

/* The redirection at hand, put at the end of the list. */
static struct redir **take_redir(struct redir **tail)
{
	struct redir *r = arena_alloc(sizeof(*r));

	*r = token_redir;
	next_token();
	if (token != T_WORD) {
		fail(token == T_END ? PARSE_INCOMPLETE : PARSE_ERROR, "a redirection");
		return tail;
	}
	r->target = token_text;
	next_token();
	*tail = r;
	return &r->next;
}

static struct node *parse_simple(void)
{
	struct node *n = new_node(NODE_COMMAND, NULL, NULL);
	struct word **words = &n->words;
	struct redir **redirs = &n->redirs;

	while (result == PARSE_OK && (token == T_WORD || token == T_REDIR)) {
		if (token == T_REDIR) {
			redirs = take_redir(redirs);
			continue;
		}
		*words = arena_alloc(sizeof(**words));
		**words = (struct word){ token_text, NULL };
		words = &(*words)->next;
		next_token();
	}
	if (!n->words && !n->redirs)
		fail(token == T_END ? PARSE_INCOMPLETE : PARSE_ERROR, token == T_END ? "the end" : token == T_NEWLINE ? "newline" : token == T_RPAREN ? "`)'" : "an operator");
	return n;
}

/* After `if` or `elif`. */
static struct node *parse_if(void)
{
	struct node *n = new_node(NODE_IF, NULL, NULL);

	n->a = parse_list();
	expect("then");
	n->b = parse_list();
	if (at_word("elif")) {
		next_token();
		n->c = parse_if();
		return n;
	}
	if (at_word("else")) {
		next_token();
		n->c = parse_list();
	}
	expect("fi");
	return n;
}

static struct node *parse_for(void)
{
	struct node *n = new_node(NODE_FOR, NULL, NULL);
	struct word **words = &n->words;

	if (token != T_WORD)
		fail(token == T_END ? PARSE_INCOMPLETE : PARSE_ERROR, "for");
	n->name = token_text;
	next_token();
	skip_newlines();
	if (at_word("in"))
		for (next_token(); token == T_WORD; next_token()) {
			*words = arena_alloc(sizeof(**words));
			**words = (struct word){ token_text, NULL };
			words = &(*words)->next;
		}
	if (token == T_SEMI)
		next_token();
	skip_newlines();
	expect("do");
	n->a = parse_list();
	expect("done");
	return n;
}

static struct node *parse_command(void)
{
	struct redir **redirs;
	struct node *n;

	if (++depth > 100)
		fail(PARSE_ERROR, "a nesting deeper than 100");
	if (result != PARSE_OK) {
		depth--;
		return new_node(NODE_COMMAND, NULL, NULL);
	}
	if (token == T_LPAREN) {
		next_token();
		n = new_node(NODE_SUBSHELL, parse_list(), NULL);
		if (token == T_RPAREN)
			next_token();
		else
			fail(token == T_END ? PARSE_INCOMPLETE : PARSE_ERROR, "`('");
	} else if (at_word("{")) {
		next_token();
		n = new_node(NODE_GROUP, parse_list(), NULL);
		expect("}");
	} else if (at_word("if")) {
		next_token();
		n = parse_if();
	} else if (at_word("while") || at_word("until")) {
		n = new_node(*token_text == 'w' ? NODE_WHILE : NODE_UNTIL, NULL, NULL);
		next_token();
		n->a = parse_list();
		expect("do");
		n->b = parse_list();
		expect("done");
	} else if (at_word("for")) {
		next_token();
		n = parse_for();
	} else {
		n = parse_simple();
		depth--;
		return n;
	}
	for (redirs = &n->redirs; token == T_REDIR && result == PARSE_OK;)
		redirs = take_redir(redirs);
	depth--;
	return n;
}

static struct node *parse_pipeline(void)
{
	struct node *n;
	bool negate = at_word("!");

	if (negate)
		next_token();
	n = parse_command();
	while (token == T_PIPE && result == PARSE_OK) {
		next_token();
		skip_newlines();
		n = new_node(NODE_PIPE, n, parse_command());
	}
	return negate ? new_node(NODE_NOT, n, NULL) : n;
}

static struct node *parse_and_or(void)
{
	struct node *n = parse_pipeline();

	while ((token == T_AND || token == T_OR) && result == PARSE_OK) {
		enum node_type type = token == T_AND ? NODE_AND : NODE_OR;

		next_token();
		skip_newlines();
		n = new_node(type, n, parse_pipeline());
	}
	return n;
}

static bool at_list_end(void)
{
	static const char *const words[] = { "then", "elif", "else", "fi", "do", "done", "}" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (at_word(words[i]))
			return true;
	return token == T_END || token == T_RPAREN;
}

/* Commands up to a closing word; NULL when there are none. */
static struct node *parse_list(void)
{
	struct node *list = NULL;

	for (skip_newlines(); result == PARSE_OK && !at_list_end(); skip_newlines()) {
		struct node *n = parse_and_or();

		if (token == T_AMP)
			n = new_node(NODE_BACKGROUND, n, NULL);
		list = list ? new_node(NODE_SEQUENCE, list, n) : n;
		if (token == T_AMP || token == T_SEMI)
			next_token();
		else if (token != T_NEWLINE)
			break;
	}
	return list;
}

enum parse_result parse(const char *text, struct node **tree)
{
	at = text;
	result = PARSE_OK;
	depth = 0;
	next_token();
	*tree = parse_list();
	if (token != T_END)
		fail(PARSE_ERROR, token == T_WORD ? token_text : token == T_RPAREN ? "`)'" : "an operator");
	return result;
}
