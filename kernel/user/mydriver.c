/* Reads from /dev/mydriver with the driver's fault armed: `mydriver [read|write] [offset]`, by default a write at NULL + 8. */
#include <libc.h>

#define MYDRIVER_SET_OFFSET 0x6d01
#define MYDRIVER_ARM 0x6d02

int main(int argc, char **argv)
{
	bool writes = argc < 2 || !strcmp(argv[1], "write");
	char buf[64], *end = "";
	unsigned long offset = argc > 2 ? (unsigned long)strtol(argv[2], &end, 0) : 8;
	int fd;
	ssize_t n;

	if ((argc > 1 && !writes && strcmp(argv[1], "read")) || *end || argc > 3) {
		dprintf(2, "usage: mydriver [read|write] [offset]\n");
		return 2;
	}
	fd = open("/dev/mydriver", O_RDWR);
	if (fd < 0) {
		dprintf(2, "mydriver: /dev/mydriver: %s\n", strerror(fd));
		return 1;
	}
	ioctl(fd, MYDRIVER_SET_OFFSET, offset);
	ioctl(fd, MYDRIVER_ARM, writes);
	n = read(fd, buf, sizeof(buf));
	printf("mydriver: read() returned %ld\n", n);
	return n < 0;
}
