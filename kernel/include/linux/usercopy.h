/* Copies between the kernel and programs stay inside what they start in. Mirrors Linux include/linux/uaccess.h. */
#ifndef _LINUX_USERCOPY_H
#define _LINUX_USERCOPY_H
#include <linux/types.h>
struct page;
void __check_object_size(const void *ptr, unsigned long n, bool to_user);
void __check_heap_object(const void *ptr, unsigned long n, struct page *page, bool to_user);
void usercopy_abort(const char *name, const char *detail, bool to_user, unsigned long offset, unsigned long len) __noreturn;
#endif
