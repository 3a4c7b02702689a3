/* The first program: mounts, shells on the console and on the host's channel, and a reaper of orphans. */
#include <libc.h>

/* ioctls of /dev/crashlab (drivers/misc/crashlab_doorbell.c) */
enum { CRASHLAB_READY = 1, CRASHLAB_DUMP_OPTIONS, CRASHLAB_DUMPED };
#define DUMP_OPTIONS_SIZE 256
static char cmdline[2048];
static char *const environment[] = { "PATH=/bin", "HOME=/root", "TERM=vt100", NULL };

static void mount(const char *type, const char *path)
{
	syscall6(SYS_mount, (long)type, (long)path, (long)type, 0, 0);
}

/* A shell whose three files are `tty`. */
static int start_shell(const char *tty)
{
	char *argv[] = { "sh", NULL };
	int pid = fork();

	if (pid == 0) {
		int fd = open(tty, O_RDWR);

		for (int i = 0; fd >= 0 && i < 3; i++)
			dup2(fd, i);
		if (fd > 2)
			close(fd);
		execve("/bin/sh", argv, (char **)environment);
		dprintf(2, "init: can't start /bin/sh\n");
		exit(127);
	}
	return pid;
}

/* The host's channel carries bytes as they are: no echo, no newline translation, but whole lines. */
static bool prepare_channel(const char *tty)
{
	struct termios t;
	int fd = open(tty, O_RDWR);

	if (fd < 0)
		return false;
	if (!ioctl(fd, TCGETS, (unsigned long)&t)) {
		t.c_lflag &= ~TERMIOS_ECHO;
		t.c_oflag &= ~TERMIOS_OPOST;
		t.c_iflag = 0;
		ioctl(fd, TCSETS, (unsigned long)&t);
	}
	close(fd);
	return true;
}

static int run(char **argv)
{
	int status = 127 << 8, pid = fork();

	if (pid == 0) {
		execve(argv[0], argv, (char **)environment);
		dprintf(2, "init: can't start %s\n", argv[0]);
		exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static size_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	return n < 0 ? 0 : n;
}

/* Memory has been set aside by crashkernel=: the kernel for a crash goes there, as a distribution's kdump service does it. */
static void load_crash_kernel(void)
{
	char *argv[] = { "/bin/sh", "-c", "kexec -p /boot/vmlinux --initrd=/boot/kdump.cpio --append=\"console=ttyS0 earlyprintk=serial maxcpus=1 reset_devices panic=-1\"", NULL };
	char size[32], option[2];

	read_file("/sys/kernel/kexec_crash_size", size, sizeof(size));
	if (strtol(size, NULL, 10) && !strstr(cmdline, "kdump=off") && !read_file("/proc/vmcore", option, sizeof(option)))
		run(argv);
}

/* In the kernel for a crash: the dump goes out, to the disk that the host attached, or else to a file; then it is over. */
static void save_vmcore(int doorbell)
{
	char words[DUMP_OPTIONS_SIZE] = "-c -d 31", *argv[24] = { "/bin/makedumpfile" }, elf[4], *word = words;
	const char *disk = "/dev/cblk0";
	bool placed = false; /* the words say where to */
	struct stat st;
	int n = 1, status;

	if (!read_file("/proc/vmcore", elf, sizeof(elf)))
		return;
	if (doorbell >= 0)
		ioctl(doorbell, CRASHLAB_DUMP_OPTIONS, (unsigned long)words);
	if (!strcmp(words, "shell")) /* somebody wants to look around first */
		return;
	while (*word && n < 20) {
		if (*word == '/' && !placed) {
			argv[n++] = "/proc/vmcore";
			placed = true;
		}
		argv[n++] = word;
		word = strchr(word, ' ');
		if (!word)
			break;
		*word++ = 0;
	}
	if (!placed) {
		argv[n++] = "/proc/vmcore";
		argv[n++] = stat(disk, &st) ? "/tmp/vmcore" : (char *)disk;
	}
	argv[n] = NULL;
	status = run(argv);
	if (doorbell >= 0)
		ioctl(doorbell, CRASHLAB_DUMPED, status >> 8);
	syscall6(SYS_reboot, 0xfee1dead, 0x28121969, 0x01234567, 0, 0);
}

int main(void)
{
	bool channel;
	int console_shell, channel_shell = 0, fd;

	mount("proc", "/proc");
	mount("sysfs", "/sys");
	mount("devtmpfs", "/dev");
	read_file("/proc/cmdline", cmdline, sizeof(cmdline));
	load_crash_kernel();
	fd = open("/dev/crashlab", O_RDWR | O_CLOEXEC);
	save_vmcore(fd);
	channel = prepare_channel("/dev/ttyS1");
	console_shell = start_shell("/dev/console");
	if (channel)
		channel_shell = start_shell("/dev/ttyS1");
	if (fd >= 0) {
		ioctl(fd, CRASHLAB_READY, 0);
		close(fd);
	}
	for (;;) {
		int status, pid = waitpid(-1, &status, 0);

		if (pid == console_shell)
			console_shell = start_shell("/dev/console");
		else if (pid == channel_shell)
			channel_shell = start_shell("/dev/ttyS1");
	}
}
