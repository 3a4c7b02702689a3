/* Lists are looked at before they are changed: a neighbour that points elsewhere is reported and left alone. Mirrors Linux lib/list_debug.c. */
#include <linux/kernel.h>
#include <linux/module.h>

#define CHECK_DATA_CORRUPTION(condition, ...) WARN(condition, __VA_ARGS__)

bool __list_add_valid(struct list_head *new, struct list_head *prev, struct list_head *next)
{
	return !(CHECK_DATA_CORRUPTION(prev == NULL, "list_add corruption. prev is NULL.\n") ||
		 CHECK_DATA_CORRUPTION(next == NULL, "list_add corruption. next is NULL.\n") ||
		 CHECK_DATA_CORRUPTION(next->prev != prev, "list_add corruption. next->prev should be prev (%px), but was %px. (next=%px).\n", prev, next->prev, next) ||
		 CHECK_DATA_CORRUPTION(prev->next != next, "list_add corruption. prev->next should be next (%px), but was %px. (prev=%px).\n", next, prev->next, prev) ||
		 CHECK_DATA_CORRUPTION(new == prev || new == next, "list_add double add: new=%px, prev=%px, next=%px.\n", new, prev, next));
}

bool __list_del_entry_valid(struct list_head *entry)
{
	struct list_head *prev = entry->prev, *next = entry->next;

	return !(CHECK_DATA_CORRUPTION(next == NULL, "list_del corruption, %px->next is NULL\n", entry) ||
		 CHECK_DATA_CORRUPTION(prev == NULL, "list_del corruption, %px->prev is NULL\n", entry) ||
		 CHECK_DATA_CORRUPTION(next == LIST_POISON1, "list_del corruption, %px->next is LIST_POISON1 (%px)\n", entry, LIST_POISON1) ||
		 CHECK_DATA_CORRUPTION(prev == LIST_POISON2, "list_del corruption, %px->prev is LIST_POISON2 (%px)\n", entry, LIST_POISON2) ||
		 CHECK_DATA_CORRUPTION(prev->next != entry, "list_del corruption. prev->next should be %px, but was %px. (prev=%px)\n", entry, prev->next, prev) ||
		 CHECK_DATA_CORRUPTION(next->prev != entry, "list_del corruption. next->prev should be %px, but was %px. (next=%px)\n", entry, next->prev, next));
}
EXPORT_SYMBOL(__list_add_valid);
EXPORT_SYMBOL(__list_del_entry_valid);
