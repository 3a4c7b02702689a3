/*
 * How the processor is to check tags (docs/kasan.md), and what it let through when it is not to stop at once.
 * Mirrors Linux 6.1 mm/kasan/hw_tags.c and arch/arm64/kernel/mte.c.
 */
#include "kasan.h"
#include <linux/module.h>

#define MSR_SHADOW_RECORDED 0x4c414206
#define CONTROL_NARROW 1
#define CONTROL_TAGS 2
#define CONTROL_RECORD_LOADS 4
#define CONTROL_RECORD_STORES 8

bool kasan_async, kasan_vmalloc_tags = true;
static enum { SYNC, ASYNC, ASYMM } mode;

static int kasan_mode_setup(char *value)
{
	mode = !strcmp(value, "async") ? ASYNC : !strcmp(value, "asymm") ? ASYMM : SYNC;
	return 1;
}
early_param("kasan.mode=", kasan_mode_setup);

static int kasan_vmalloc_setup(char *value)
{
	kasan_vmalloc_tags = strcmp(value, "off") != 0;
	return 1;
}
early_param("kasan.vmalloc=", kasan_vmalloc_setup);

const char *kasan_mode_name(void)
{
	return mode == ASYNC ? "async" : mode == ASYMM ? "asymm" : "sync";
}

u64 kasan_hw_control(void)
{
	if (kasan_kind == KASAN_SW_TAGS)
		return CONTROL_TAGS;
	kasan_async = mode != SYNC;
	return CONTROL_TAGS | CONTROL_NARROW | (mode == ASYNC ? CONTROL_RECORD_LOADS : 0) | (mode != SYNC ? CONTROL_RECORD_STORES : 0);
}

noinline void __kasan_check_async(void)
{
	if (likely(!rdmsrl(MSR_SHADOW_RECORDED)))
		return;
	wrmsrl(MSR_SHADOW_RECORDED, 0);
	kasan_report_async();
}
EXPORT_SYMBOL(kasan_async);
EXPORT_SYMBOL(__kasan_check_async);
