/* Notifier chains. Mirrors Linux kernel/notifier.c. */
#include <linux/module.h>
#include <linux/notifier.h>

static struct atomic_notifier_head die_chain;

int atomic_notifier_chain_register(struct atomic_notifier_head *nh, struct notifier_block *nb)
{
	struct notifier_block **at = &nh->head;

	while (*at && (*at)->priority >= nb->priority)
		at = &(*at)->next;
	nb->next = *at;
	*at = nb;
	return 0;
}

int atomic_notifier_chain_unregister(struct atomic_notifier_head *nh, struct notifier_block *nb)
{
	for (struct notifier_block **at = &nh->head; *at; at = &(*at)->next)
		if (*at == nb) {
			*at = nb->next;
			return 0;
		}
	return -ENOENT;
}

/* Calls the chain until one asks to stop; what the last one returned. */
int atomic_notifier_call_chain(struct atomic_notifier_head *nh, unsigned long action, void *data)
{
	int result = NOTIFY_DONE;
	struct notifier_block *next;

	for (struct notifier_block *nb = nh->head; nb; nb = next) {
		next = nb->next;
		result = nb->notifier_call(nb, action, data);
		if (result & NOTIFY_STOP_MASK)
			break;
	}
	return result;
}

int notify_die(enum die_val val, const char *str, struct pt_regs *regs, long err, int trap, int sig)
{
	struct die_args args = { regs, str, err, trap, sig };

	return atomic_notifier_call_chain(&die_chain, val, &args);
}

int register_die_notifier(struct notifier_block *nb)
{
	return atomic_notifier_chain_register(&die_chain, nb);
}

int unregister_die_notifier(struct notifier_block *nb)
{
	return atomic_notifier_chain_unregister(&die_chain, nb);
}
EXPORT_SYMBOL(panic_notifier_list);
EXPORT_SYMBOL(atomic_notifier_chain_register);
EXPORT_SYMBOL(atomic_notifier_chain_unregister);
EXPORT_SYMBOL(register_die_notifier);
EXPORT_SYMBOL(unregister_die_notifier);
