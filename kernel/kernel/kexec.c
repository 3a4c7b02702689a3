/*
 * kexec_load(): segments that a program has prepared, in its own memory; and what /sys/kernel says of loaded
 * images. Mirrors Linux kernel/kexec.c and ksysfs.c.
 */
#include <linux/boot.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/syscalls.h>

/* kexec_load(entry, nr_segments, segments, flags) */
SYSCALL_DEFINE(kexec_load)
{
	unsigned long n = regs->si, flags = regs->r10;
	int type = flags & KEXEC_ON_CRASH ? KEXEC_TYPE_CRASH : KEXEC_TYPE_DEFAULT;
	struct kimage **slot = type == KEXEC_TYPE_CRASH ? &kexec_crash_image : &kexec_image, *image;
	struct kexec_segment segments[KEXEC_SEGMENT_MAX];

	if (flags & ~(KEXEC_ON_CRASH | KEXEC_ARCH_MASK) || ((flags & KEXEC_ARCH_MASK) != KEXEC_ARCH_X86_64 && flags & KEXEC_ARCH_MASK))
		return -EINVAL;
	if (n > KEXEC_SEGMENT_MAX)
		return -EINVAL;
	if (!n)
		return kexec_install(slot, NULL, false);
	if (copy_from_user(segments, (void __user *)regs->dx, n * sizeof(segments[0])))
		return -EFAULT;
	image = kimage_create(regs->di, type, segments, n);
	return IS_ERR(image) ? PTR_ERR(image) : kexec_install(slot, image, true);
}

static int show_loaded(struct seq_file *m, void *data)
{
	seq_printf(m, "%d\n", *(struct kimage **)data != NULL);
	return 0;
}

static int show_crash_size(struct seq_file *m, void *data)
{
	seq_printf(m, "%lu\n", crashk_reserved() ? (unsigned long)(crashk_res.end - crashk_res.start + 1) : 0);
	return 0;
}

static int show_vmcoreinfo(struct seq_file *m, void *data)
{
	seq_printf(m, "%lx %lx\n", paddr_vmcoreinfo_note(), VMCOREINFO_NOTE_SIZE);
	return 0;
}

/* Physical memory and what lies in it; the addresses are those of the loader's map. */
static int show_iomem(struct seq_file *m, void *data)
{
	static const char *const types[] = { "Reserved", "System RAM", "Reserved", "ACPI Tables", "ACPI Non-volatile Storage" };
	struct resource inside[] = { { __pa(_text), __pa(_etext) - 1, "Kernel code" }, crashk_res };

	for (int i = 0; i < e820_count; i++) {
		const struct e820_entry *e = &e820_table[i];

		seq_printf(m, "%08lx-%08lx : %s\n", (unsigned long)e->addr, (unsigned long)(e->addr + e->size - 1), types[e->type < ARRAY_SIZE(types) ? e->type : 0]);
		for (size_t n = 0; n < ARRAY_SIZE(inside); n++)
			if (inside[n].end > inside[n].start && inside[n].start >= e->addr && inside[n].end < e->addr + e->size)
				seq_printf(m, "  %08lx-%08lx : %s\n", (unsigned long)inside[n].start, (unsigned long)inside[n].end, inside[n].name);
	}
	return 0;
}

static int kexec_sysfs_init(void)
{
	static const struct text_file files[] = {
		{ "/sys/kernel/kexec_loaded", 0444, show_loaded, NULL, &kexec_image },
		{ "/sys/kernel/kexec_crash_loaded", 0444, show_loaded, NULL, &kexec_crash_image },
		{ "/sys/kernel/kexec_crash_size", 0444, show_crash_size, NULL, NULL },
		{ "/sys/kernel/vmcoreinfo", 0444, show_vmcoreinfo, NULL, NULL },
		{ "/proc/iomem", 0400, show_iomem, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		register_text_file(&files[i]);
	return 0;
}
fs_initcall(kexec_sysfs_init);
