/* What labcrash can do wrong: a name and a function that does it wherever it is called. */
#ifndef LABCRASH_KINDS_H
#define LABCRASH_KINDS_H

struct lab_kind { const char *name; void (*run)(void); };
extern const struct lab_kind lab_kinds[];
extern const unsigned int lab_kinds_count;
/* NULL when there is no kind of that name. */
const struct lab_kind *lab_kind_find(const char *name);
#endif
