/* The shell's pieces: text becomes a tree (parse.c), words become arguments (expand.c), the tree is run (exec.c). */
#ifndef _SH_H
#define _SH_H
#include <libc.h>

struct word { const char *text; struct word *next; };
enum redir_type { REDIR_IN, REDIR_OUT, REDIR_APPEND, REDIR_DUP };
struct redir { int fd; enum redir_type type; const char *target; struct redir *next; };
enum node_type { NODE_COMMAND, NODE_PIPE, NODE_AND, NODE_OR, NODE_SEQUENCE, NODE_BACKGROUND, NODE_NOT, NODE_SUBSHELL, NODE_GROUP, NODE_IF, NODE_WHILE, NODE_UNTIL, NODE_FOR };
/* IF: a then b else c. WHILE, UNTIL: a do b. FOR: name in words do a. Others: a, b. */
struct node { enum node_type type; struct node *a, *b, *c; struct word *words; struct redir *redirs; const char *name; };

enum parse_result { PARSE_OK, PARSE_INCOMPLETE, PARSE_ERROR };
/* One complete list up to the end of text. PARSE_INCOMPLETE: more lines may make it whole. */
enum parse_result parse(const char *text, struct node **tree);
extern char parse_error[128];

int run(struct node *node);
/* Runs text to its end; the last status. */
int run_text(const char *text);
/* Arguments of a command, NULL-ended; NULL when memory is short. */
char **expand_words(struct word *words, int *count);
/* One word without splitting: for redirections, assignments. */
char *expand_single(const char *word);

/* Memory of one command: everything is gone when it ends. */
void *arena_alloc(size_t n);
size_t arena_mark(void);
void arena_release(size_t mark);

const char *get_var(const char *name);
void set_var(const char *name, const char *value, bool export);
void unset_var(const char *name);
char **environment(void);
void print_vars(bool exported_only);

extern int last_status, shell_pid;
extern int positional_count;
extern char **positional;
extern bool interactive;
extern int loop_break, loop_continue; /* loops still to leave */

typedef int (*command_fn)(int argc, char **argv);
/* Commands that must run in the shell itself, and those that any process of ours can run. */
command_fn find_builtin(const char *name);
command_fn find_applet(const char *name);
int report_status(int pid, int status);
int run_test(int argc, char **argv);
int run_printf(int argc, char **argv);
int do_ps(int argc, char **argv);
int do_insmod(int argc, char **argv);
int do_rmmod(int argc, char **argv);
int do_lsmod(int argc, char **argv);
int do_dmesg(int argc, char **argv);
int do_uname(int argc, char **argv);
int do_mount(int argc, char **argv);
int do_reboot(int argc, char **argv);
int do_kexec(int argc, char **argv);
#endif
