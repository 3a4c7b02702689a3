/* printk, panic, strings, bugs, parameters: what every file of the kernel needs. */
#ifndef _LINUX_KERNEL_H
#define _LINUX_KERNEL_H
#include <asm/layout.h>
#include <asm/ptrace.h>
#include <linux/list.h>
#include <linux/types.h>

#define HZ 1000
#define UTS_RELEASE "5.15.0"
#define UTS_VERSION "#1 SMP Mon Jan 1 00:00:00 UTC 2024"

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define ENOTDIR 20
#define EISDIR 21
#define EINVAL 22
#define EMFILE 24
#define ENOTTY 25
#define EFBIG 27
#define ENOSPC 28
#define ESPIPE 29
#define EROFS 30
#define EPIPE 32
#define ERANGE 34
#define ENAMETOOLONG 36
#define ENOSYS 38
#define ENOTEMPTY 39
#define ENODATA 61
#define ENOPKG 65
#define EBADMSG 74
#define EADDRNOTAVAIL 99
#define ETIMEDOUT 110
#define EKEYREJECTED 129

/* printk levels: a byte 1 and the digit, as in Linux's kern_levels.h */
#define KERN_SOH "\001"
#define KERN_EMERG KERN_SOH "0"
#define KERN_ALERT KERN_SOH "1"
#define KERN_CRIT KERN_SOH "2"
#define KERN_ERR KERN_SOH "3"
#define KERN_WARNING KERN_SOH "4"
#define KERN_NOTICE KERN_SOH "5"
#define KERN_INFO KERN_SOH "6"
#define KERN_DEBUG KERN_SOH "7"
#define KERN_DEFAULT ""
#define KERN_CONT KERN_SOH "c"

int _printk(const char *fmt, ...) __printf(1, 2);
int vprintk(const char *fmt, va_list args);
#define printk _printk
#define pr_emerg(...) printk(KERN_EMERG __VA_ARGS__)
#define pr_alert(...) printk(KERN_ALERT __VA_ARGS__)
#define pr_err(...) printk(KERN_ERR __VA_ARGS__)
#define pr_warn(...) printk(KERN_WARNING __VA_ARGS__)
#define pr_notice(...) printk(KERN_NOTICE __VA_ARGS__)
#define pr_info(...) printk(KERN_INFO __VA_ARGS__)
#define pr_cont(...) printk(KERN_CONT __VA_ARGS__)

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...);
int scnprintf(char *buf, size_t size, const char *fmt, ...);

void *memset(void *s, int c, size_t n);
/* Nobody looks at the shadow: for memory that is known, as clear_page() and copy_page() of Linux. */
void *__memset(void *s, int c, size_t n);
void *__memcpy(void *d, const void *s, size_t n);
void *memcpy(void *d, const void *s, size_t n);
void *memmove(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strncpy(char *d, const char *s, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
ssize_t strscpy(char *d, const char *s, size_t n);
unsigned long simple_strtoul(const char *s, char **end, unsigned int base);
long simple_strtol(const char *s, char **end, unsigned int base);

/* Lines of `PREFIXADDRESS: bytes  characters`. */
void print_hex_dump(const char *level, const char *prefix, const void *buf, size_t len);

void panic(const char *fmt, ...) __noreturn __printf(1, 2);
/* panic() from an NMI: a panic that is under way elsewhere goes on. */
void nmi_panic(struct pt_regs *regs, const char *msg);
void bust_spinlocks(int yes);
void printk_bust_locks(void);
extern int panic_timeout, panic_on_oops, panic_on_warn, crash_kexec_post_notifiers;
extern atomic_t panic_cpu, oops_count, warn_count;
extern int oops_limit, warn_limit;
extern int oops_in_progress;
/* What may be done yet (Linux has more of them). */
extern enum system_states { SYSTEM_BOOTING, SYSTEM_SCHEDULING } system_state;
extern unsigned long tainted_mask;

enum taint_bits {
	TAINT_PROPRIETARY_MODULE, TAINT_FORCED_MODULE, TAINT_CPU_OUT_OF_SPEC, TAINT_FORCED_RMMOD,
	TAINT_MACHINE_CHECK, TAINT_BAD_PAGE, TAINT_USER, TAINT_DIE, TAINT_OVERRIDDEN_ACPI_TABLE, TAINT_WARN,
	TAINT_CRAP, TAINT_FIRMWARE_WORKAROUND, TAINT_OOT_MODULE, TAINT_UNSIGNED_MODULE, TAINT_SOFTLOCKUP,
	TAINT_LIVEPATCH, TAINT_AUX, TAINT_RANDSTRUCT, TAINT_TEST, TAINT_FLAGS_COUNT
};
struct taint_flag { char c_true, c_false; bool module; };
extern const struct taint_flag taint_flags[TAINT_FLAGS_COUNT];
enum lockdep_ok { LOCKDEP_STILL_OK, LOCKDEP_NOW_UNRELIABLE };
void add_taint(unsigned int flag, enum lockdep_ok ok);
extern unsigned long panic_on_taint;
/* Plain %p prints addresses as they are. */
extern bool no_hash_pointers;
extern bool panic_on_taint_nousertaint;
const char *print_tainted(void);
int test_taint(unsigned int flag);

void oops_enter(void);
void oops_exit(void);
void dump_stack_lvl(const char *log_lvl);
#define dump_stack() dump_stack_lvl(KERN_DEFAULT)
void dump_stack_print_info(const char *level);
void show_regs_print_info(const char *level);

/* ---- BUG and WARN: an ud2 and an entry in __bug_table (Linux include/asm-generic/bug.h) ---- */
struct bug_entry { s32 bug_addr_disp, file_disp; u16 line, flags; };
#define BUGFLAG_WARNING 1
#define BUGFLAG_ONCE 2
#define BUGFLAG_DONE 4
#define BUGFLAG_NO_CUT_HERE 8
#define BUGFLAG_TAINT(taint) ((taint) << 8)
#define _BUG_FLAGS(flags)                                                                          \
	__asm__ volatile("1:	ud2\n"                                                             \
			 ".pushsection __bug_table,\"aw\"\n"                                       \
			 "2:	.long 1b - .\n	.long %c0 - .\n	.word %c1\n	.word %c2\n"             \
			 ".popsection" : : "i"(__FILE__), "i"(__LINE__), "i"(flags))
#define __WARN_FLAGS(flags) _BUG_FLAGS(BUGFLAG_WARNING | (flags))
#define BUG() do { _BUG_FLAGS(0); __builtin_unreachable(); } while (0)
#define BUG_ON(c) do { if (unlikely(c)) BUG(); } while (0)
#define WARN_ON(c) ({ int __w = !!(c); if (unlikely(__w)) __WARN_FLAGS(BUGFLAG_TAINT(TAINT_WARN)); unlikely(__w); })
#define WARN_ON_ONCE(c) ({ int __w = !!(c); if (unlikely(__w)) __WARN_FLAGS(BUGFLAG_ONCE | BUGFLAG_TAINT(TAINT_WARN)); unlikely(__w); })
/* The message comes first, from here; the report from the trap that follows. */
void __warn_printk(const char *fmt, ...) __printf(1, 2);
#define WARN_TAINT(c, taint, ...)                                                                  \
	({                                                                                         \
		int __w = !!(c);                                                                   \
		if (unlikely(__w)) {                                                               \
			__warn_printk(__VA_ARGS__);                                                \
			__WARN_FLAGS(BUGFLAG_NO_CUT_HERE | BUGFLAG_TAINT(taint));                  \
		}                                                                                  \
		unlikely(__w);                                                                     \
	})
#define WARN(c, ...) WARN_TAINT(c, TAINT_WARN, __VA_ARGS__)
#define WARN_ONCE(c, ...)                                                                          \
	({                                                                                         \
		static bool __done;                                                                \
		int __once = !!(c);                                                                \
		if (unlikely(__once && !__done)) {                                                 \
			__done = true;                                                             \
			WARN(1, __VA_ARGS__);                                                      \
		}                                                                                  \
		unlikely(__once);                                                                  \
	})
/* For code without a trap of its own: the caller's address is all there is. */
void warn_slowpath_fmt(const char *file, int line, unsigned int taint, const char *fmt, ...) __printf(4, 5);
void print_oops_end_marker(void);
enum bug_trap_type { BUG_TRAP_TYPE_NONE, BUG_TRAP_TYPE_WARN, BUG_TRAP_TYPE_BUG };
enum bug_trap_type report_bug(unsigned long addr, struct pt_regs *regs);
void __warn(const char *file, int line, void *caller, unsigned int taint, struct pt_regs *regs, const char *fmt,
	    va_list *args);

/* ---- initcalls and parameters ---- */
typedef int (*initcall_t)(void);
#define __define_initcall(fn, level) static initcall_t __used __attribute__((section(".initcall." level))) __initcall_##fn = fn
#define core_initcall(fn) __define_initcall(fn, "1")
#define fs_initcall(fn) __define_initcall(fn, "5")
#define device_initcall(fn) __define_initcall(fn, "6")
#define late_initcall(fn) __define_initcall(fn, "7")
int do_one_initcall(initcall_t fn);
struct obs_kernel_param { const char *str; int (*setup_func)(char *); long early; };
#define __setup_param(name, unique, fn, early) static struct obs_kernel_param __used __attribute__((section(".init.setup"))) __setup_##unique = { name, fn, early }
#define __setup(name, fn) __setup_param(name, fn, fn, 0)
/* Looked at before memory is set up. */
#define __early_param2(name, n, fn) __setup_param(name, fn##n, fn, 1)
#define __early_param(name, n, fn) __early_param2(name, n, fn)
#define early_param(name, fn) __early_param(name, __COUNTER__, fn)
extern char *saved_command_line;

/* ---- error pointers ---- */
#define MAX_ERRNO 4095
static inline void *ERR_PTR(long e) { return (void *)e; }
static inline long PTR_ERR(const void *p) { return (long)p; }
static inline bool IS_ERR(const void *p) { return (unsigned long)p >= (unsigned long)-MAX_ERRNO; }

/* ---- image symbols ---- */
extern char _text[], _stext[], _etext[], _end[], _sinittext[], _einittext[], __bss_start[], __bss_stop[];
bool kernel_text_address(unsigned long addr);

/* ---- kallsyms ---- */
#define KSYM_NAME_LEN 128
#define KSYM_SYMBOL_LEN 256
int sprint_symbol(char *buffer, unsigned long addr);
int sprint_backtrace(char *buffer, unsigned long addr);
int sprint_backtrace_build_id(char *buffer, unsigned long addr);
unsigned long kallsyms_lookup_name(const char *name);
const char *kallsyms_lookup(unsigned long addr, unsigned long *size, unsigned long *offset, char **modname);

extern int console_loglevel;
struct new_utsname { char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65]; };
struct user_namespace;
struct uts_namespace { struct new_utsname name; struct user_namespace *user_ns; };
extern struct uts_namespace init_uts_ns;
extern const char linux_banner[];
#ifndef __NO_FORTIFY
#include <linux/fortify-string.h>
#endif
#endif
