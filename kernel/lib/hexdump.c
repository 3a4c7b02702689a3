/* Memory as bytes and characters, 16 a line. Mirrors Linux lib/hexdump.c (DUMP_PREFIX_ADDRESS, groups of one). */
#include <linux/kernel.h>

void print_hex_dump(const char *level, const char *prefix, const void *buf, size_t len)
{
	const u8 *p = buf;

	for (; len; p += 16) {
		size_t n = min(len, (size_t)16), at = 0;
		char line[16 * 3 + 2 + 16 + 1];

		for (size_t i = 0; i < n; i++)
			at += scnprintf(line + at, sizeof(line) - at, "%02x ", p[i]);
		at--;
		while (at < 49)
			line[at++] = ' ';
		for (size_t i = 0; i < n; i++)
			line[at++] = p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '.';
		line[at] = 0;
		printk("%s%s%p: %s\n", level, prefix, p, line);
		len -= n;
	}
}
