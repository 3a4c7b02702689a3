/* Build ids: what the linker says of a file. Mirrors Linux include/linux/buildid.h. */
#ifndef _LINUX_BUILDID_H
#define _LINUX_BUILDID_H
#include <linux/types.h>

#define BUILD_ID_SIZE_MAX 20
/* A blank and the id in hex, and the end. */
#define BUILD_ID_TEXT (2 * BUILD_ID_SIZE_MAX + 2)

extern unsigned char vmlinux_build_id[BUILD_ID_SIZE_MAX];
/* `stacktrace_build_id` on the command line: traces as those of a kernel with CONFIG_STACKTRACE_BUILD_ID. */
extern bool stacktrace_build_id;

void init_vmlinux_build_id(void);
/* The id among ELF notes. 0, or -EINVAL when there is none of 20 bytes. */
int build_id_parse_buf(const void *buf, unsigned char *build_id, u32 buf_size);
/* The id as text behind a blank (Linux: " %20phN"). */
const char *build_id_text(const unsigned char *build_id, char text[BUILD_ID_TEXT]);
#endif
