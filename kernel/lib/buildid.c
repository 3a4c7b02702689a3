/* Build ids of the kernel and of modules, in traces and in VMCOREINFO. Mirrors Linux lib/buildid.c. */
#include <linux/elf.h>
#include <linux/buildid.h>
#include <linux/kernel.h>

#define NT_GNU_BUILD_ID 3

extern const char __start_notes[], __stop_notes[];

unsigned char vmlinux_build_id[BUILD_ID_SIZE_MAX];
bool stacktrace_build_id;

static int stacktrace_build_id_setup(char *value)
{
	stacktrace_build_id = true;
	return 1;
}
__setup("stacktrace_build_id", stacktrace_build_id_setup);

int build_id_parse_buf(const void *buf, unsigned char *build_id, u32 buf_size)
{
	for (u64 at = 0; at + sizeof(struct elf64_note) <= buf_size;) {
		const struct elf64_note *note = buf + at;
		u64 name = at + sizeof(*note), desc = name + (((u64)note->n_namesz + 3) & ~3UL), end = desc + note->n_descsz;

		if (end > buf_size)
			break;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(buf + name, "GNU", 4) && note->n_descsz == BUILD_ID_SIZE_MAX) {
			memcpy(build_id, buf + desc, BUILD_ID_SIZE_MAX);
			return 0;
		}
		at = (end + 3) & ~3UL;
	}
	return -EINVAL;
}

const char *build_id_text(const unsigned char *build_id, char text[BUILD_ID_TEXT])
{
	text[0] = ' ';
	for (int i = 0; i < BUILD_ID_SIZE_MAX; i++)
		snprintf(text + 1 + 2 * i, 3, "%02x", build_id[i]);
	return text;
}

void init_vmlinux_build_id(void)
{
	build_id_parse_buf(__start_notes, vmlinux_build_id, __stop_notes - __start_notes);
}
