/* Chains of callbacks in order of priority. Mirrors Linux include/linux/notifier.h. */
#ifndef _LINUX_NOTIFIER_H
#define _LINUX_NOTIFIER_H

#define NOTIFY_DONE 0
#define NOTIFY_OK 1
#define NOTIFY_STOP_MASK 0x8000
#define NOTIFY_BAD (NOTIFY_STOP_MASK | 2)
#define NOTIFY_STOP (NOTIFY_OK | NOTIFY_STOP_MASK)

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data);
	struct notifier_block *next;
	int priority;
};
struct atomic_notifier_head { struct notifier_block *head; };
int atomic_notifier_chain_register(struct atomic_notifier_head *nh, struct notifier_block *nb);
int atomic_notifier_chain_unregister(struct atomic_notifier_head *nh, struct notifier_block *nb);
int atomic_notifier_call_chain(struct atomic_notifier_head *nh, unsigned long action, void *data);
extern struct atomic_notifier_head panic_notifier_list;

enum die_val { DIE_OOPS = 1, DIE_INT3, DIE_DEBUG, DIE_PANIC, DIE_NMI, DIE_DIE, DIE_KERNELDEBUG, DIE_TRAP, DIE_GPF };
struct die_args { struct pt_regs *regs; const char *str; long err; int trapnr, signr; };
int notify_die(enum die_val val, const char *str, struct pt_regs *regs, long err, int trap, int sig);
int register_die_notifier(struct notifier_block *nb);
int unregister_die_notifier(struct notifier_block *nb);
#endif
