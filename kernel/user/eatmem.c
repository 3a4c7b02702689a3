/* eatmem MIB: takes that much memory, touching every page, and says when it has it. */
#include <libc.h>

int main(int argc, char **argv)
{
	long size = argc > 1 ? strtol(argv[1], NULL, 10) << 20 : 0;
	long at = size > 0 ? syscall6(9, 0, size, 3, 0x22, -1) : -22;

	if (at < 0 && at > -4096) {
		dprintf(2, "eatmem: %s\n", strerror(at));
		return 1;
	}
	for (long i = 0; i < size; i += 4096)
		((volatile char *)at)[i] = 1;
	printf("eatmem: %ld MiB\n", size >> 20);
	return 0;
}
