/* The first program: mounts, shells on the console and on the host's channel, and a reaper of orphans. */
#include <libc.h>

#define CRASHLAB_READY 1
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

int main(void)
{
	bool channel;
	int console_shell, channel_shell = 0, fd;

	mount("proc", "/proc");
	mount("sysfs", "/sys");
	mount("devtmpfs", "/dev");
	channel = prepare_channel("/dev/ttyS1");
	console_shell = start_shell("/dev/console");
	if (channel)
		channel_shell = start_shell("/dev/ttyS1");
	fd = open("/dev/crashlab", O_RDWR);
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
