/* The C library of the guest's programs: system calls by Linux's numbers, strings, a little output. */
#ifndef _LIBC_H
#define _LIBC_H
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef unsigned long size_t;
typedef long ssize_t;
typedef __builtin_va_list va_list;
#define va_start(v, l) __builtin_va_start(v, l)
#define va_end(v) __builtin_va_end(v)
#define va_arg(v, t) __builtin_va_arg(v, t)
#define NULL ((void *)0)
#define bool _Bool
#define true 1
#define false 0
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
	SYS_read, SYS_write, SYS_open, SYS_close, SYS_stat, SYS_fstat, SYS_lseek = 8, SYS_brk = 12, SYS_rt_sigaction = 13, SYS_ioctl = 16,
	SYS_access = 21, SYS_pipe = 22, SYS_dup2 = 33, SYS_nanosleep = 35, SYS_getpid = 39, SYS_fork = 57, SYS_execve = 59,
	SYS_exit = 60, SYS_wait4 = 61, SYS_kill = 62, SYS_uname = 63, SYS_getcwd = 79, SYS_chdir = 80, SYS_mkdir = 83,
	SYS_rmdir = 84, SYS_unlink = 87, SYS_syslog = 103, SYS_sync = 162, SYS_mount = 165, SYS_umount2 = 166, SYS_reboot = 169,
	SYS_delete_module = 176, SYS_getdents64 = 217, SYS_kexec_load = 246, SYS_finit_module = 313, SYS_kexec_file_load = 320,
};
/* The kernel's answer: a value, or -errno. */
static inline long syscall6(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return result;
}
#define syscall(nr, a, b, c) syscall6(nr, (long)(a), (long)(b), (long)(c), 0, 0)

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_APPEND 02000
#define O_CLOEXEC 02000000
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define SIGINT 2
#define SIGTERM 15
#define SIG_DFL 0
#define SIG_IGN 1
struct stat { u64 st_dev, st_ino, st_nlink; u32 st_mode, st_uid, st_gid, pad; u64 st_rdev; long st_size, st_blksize, st_blocks; u64 st_time[6]; long unused[3]; };
struct linux_dirent64 { u64 d_ino; long d_off; u16 d_reclen; u8 d_type; char d_name[]; };
struct utsname { char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65]; };
struct termios { u32 c_iflag, c_oflag, c_cflag, c_lflag; u8 c_line, c_cc[19]; };
#define TCGETS 0x5401
#define TCSETS 0x5402
#define TERMIOS_ECHO 8
#define TERMIOS_OPOST 1

static inline ssize_t read(int fd, void *buf, size_t n) { return syscall(SYS_read, fd, buf, n); }
static inline ssize_t write(int fd, const void *buf, size_t n) { return syscall(SYS_write, fd, buf, n); }
static inline int open(const char *path, int flags) { return syscall(SYS_open, path, flags, 0644); }
static inline int close(int fd) { return syscall(SYS_close, fd, 0, 0); }
static inline int dup2(int from, int to) { return syscall(SYS_dup2, from, to, 0); }
static inline int fork(void) { return syscall(SYS_fork, 0, 0, 0); }
static inline int getpid(void) { return syscall(SYS_getpid, 0, 0, 0); }
static inline int waitpid(int pid, int *status, int options) { return syscall(SYS_wait4, pid, status, options); }
static inline int execve(const char *path, char **argv, char **envp) { return syscall(SYS_execve, path, argv, envp); }
static inline int ioctl(int fd, unsigned int cmd, unsigned long arg) { return syscall(SYS_ioctl, fd, cmd, arg); }
static inline int stat(const char *path, struct stat *st) { return syscall(SYS_stat, path, st, 0); }
void exit(int status) __attribute__((noreturn));
int signal(int sig, unsigned long handler);

size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
char *strcpy(char *to, const char *from);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
long strtol(const char *s, char **end, int base);
const char *strerror(long err);

void *malloc(size_t n);
void free(void *p);

/* %s %d %u %x %o %c %lu %ld %lx with width, - and 0 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void dprintf(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define printf(...) dprintf(1, __VA_ARGS__)
/* Everything: 0, or -errno. */
long write_all(int fd, const void *buf, size_t n);
/* One more line of fd without its newline; -1 at the end. Longer lines come in pieces. */
struct reader { int fd; size_t at, end; char buf[4096]; };
long read_line(struct reader *r, char *line, size_t size);
#endif
