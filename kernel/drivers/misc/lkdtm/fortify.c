/* Crash points about string functions that leave their object. Mirrors Linux drivers/misc/lkdtm/fortify.c. */
#include "lkdtm.h"

static volatile int fortify_scratch_space;

static noinline void lkdtm_FORTIFY_STR_OBJECT(void)
{
	struct target { char a[10]; int foo; } target[3] = {};
	volatile int size = 20;

	lk_info("trying to strcmp() past the end of a struct\n");
	strncpy(target[0].a, target[1].a, size);
	fortify_scratch_space = target[0].a[3];
	lk_err("FAIL: fortify did not block a strncpy() object write overflow!\n");
	lkdtm_expected_config("CONFIG_FORTIFY_SOURCE");
}

static noinline void lkdtm_FORTIFY_STR_MEMBER(void)
{
	struct target { char a[10]; char b[10]; } target;
	volatile int size = 20;
	char *src = kmalloc(size, GFP_KERNEL);

	if (!src)
		return;
	strscpy(src, "over ten bytes", size);
	size = strlen(src) + 1;
	lk_info("trying to strncpy() past the end of a struct member...\n");
	/* One byte more than the member holds. */
	strncpy(target.a, src, size);
	fortify_scratch_space = target.a[3];
	lk_err("FAIL: fortify did not block a strncpy() struct member write overflow!\n");
	lkdtm_expected_config("CONFIG_FORTIFY_SOURCE");
	kfree(src);
}

static noinline void lkdtm_FORTIFY_MEM_OBJECT(void)
{
	int before[10];
	struct target { char a[10]; int foo; } target = {};
	int after[10];
	volatile int size = 20;

	memset(before, 0, sizeof(before));
	memset(after, 0, sizeof(after));
	fortify_scratch_space = before[5];
	fortify_scratch_space = after[5];
	lk_info("trying to memcpy() past the end of a struct\n");
	lk_info("0: %lu\n", __builtin_object_size(&target, 0));
	lk_info("1: %lu\n", __builtin_object_size(&target, 1));
	lk_info("s: %d\n", size);
	memcpy(&target, &before, size);
	fortify_scratch_space = target.a[3];
	lk_err("FAIL: fortify did not block a memcpy() object write overflow!\n");
	lkdtm_expected_config("CONFIG_FORTIFY_SOURCE");
}

static noinline void lkdtm_FORTIFY_MEM_MEMBER(void)
{
	struct target { char a[10]; char b[10]; } target;
	volatile int size = 20;
	char *src = kmalloc(size, GFP_KERNEL);

	if (!src)
		return;
	strscpy(src, "over ten bytes", size);
	size = strlen(src) + 1;
	lk_info("trying to memcpy() past the end of a struct member...\n");
	memcpy(target.a, src, size);
	fortify_scratch_space = target.a[3];
	lk_err("FAIL: fortify did not block a memcpy() struct member write overflow!\n");
	lkdtm_expected_config("CONFIG_FORTIFY_SOURCE");
	kfree(src);
}

/* strscpy() with a length that fits, that cuts, and that is longer than the destination. */
static noinline void lkdtm_FORTIFY_STRSCPY(void)
{
	char *src;
	char dst[5];
	struct { union { char big[10]; char src[5]; }; } weird = { .big = "hello!" };
	char weird_dst[sizeof(weird.src) + 1];

	src = kmalloc(6, GFP_KERNEL);
	if (!src)
		return;
	strscpy(src, "foobar", 6);
	src[5] = 0;
	/* Wrong uses that are stopped before they do harm. */
	if (strscpy(dst, src, 0) != -E2BIG)
		lk_warn("FAIL: strscpy() of 0 length did not return -E2BIG\n");
	if (strscpy(dst, src, sizeof(dst)) != -E2BIG)
		lk_warn("FAIL: strscpy() did not return -E2BIG while src is truncated\n");
	if (strncmp(dst, "foob", sizeof(dst)))
		lk_warn("FAIL: after strscpy() dst does not contain \"foob\"\n");
	src[3] = 0;
	if (strscpy(dst, src, sizeof(dst)) != 3)
		lk_warn("FAIL: strscpy() did not return 3 while src was copied entirely truncated\n");
	if (strncmp(dst, "foo", sizeof(dst)))
		lk_warn("FAIL: after strscpy() dst does not contain \"foo\"\n");
	/* The source is read beyond its member. */
	strscpy(weird_dst, weird.src, sizeof(weird_dst));
	lk_err("FAIL: fortify did not block a strscpy() object read overflow!\n");
	lkdtm_expected_config("CONFIG_FORTIFY_SOURCE");
	kfree(src);
}

static const struct crashtype crashtypes[] = {
	CRASHTYPE(FORTIFY_STR_OBJECT), CRASHTYPE(FORTIFY_STR_MEMBER), CRASHTYPE(FORTIFY_MEM_OBJECT),
	CRASHTYPE(FORTIFY_MEM_MEMBER), CRASHTYPE(FORTIFY_STRSCPY),
};
CRASHTYPES(fortify);
