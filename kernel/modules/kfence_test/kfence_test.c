/*
 * The cases of Linux's KUnit suite for KFENCE (6.1 mm/kfence/kfence_test.c), under its names: `insmod kfence_test.ko`
 * runs them, each in a task of its own and most also with a cache of their own, and says of each whether KFENCE
 * reported what it had to. The bugs are real. With kfence.sample_interval=0 the objects are ordinary ones, between two
 * more that nobody uses: nothing may be reported then, and what an ordinary slab does not survive is left out.
 */
#include <linux/console.h>
#include <linux/kernel.h>
#include <linux/kfence.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#define SLAB_TYPESAFE_BY_RCU 0x80000u
#define OPTIMIZER_HIDE_VAR(v) __asm__ volatile("" : "+r"(v))

extern unsigned long volatile jiffies;
static struct kmem_cache *test_cache;
static const char *test_name, *skipped;
static bool failed, use_cache;

#define FAIL(format, ...)                                                                                             \
	do {                                                                                                          \
		pr_err("    # %s: EXPECTATION FAILED at kfence_test.c:%d\n", test_name, __LINE__);                     \
		pr_err("    " format "\n", ##__VA_ARGS__);                                                            \
		failed = true;                                                                                        \
	} while (0)
#define EXPECT(condition)                                                                                             \
	do {                                                                                                          \
		if (!(condition))                                                                                     \
			FAIL("Expected %s", #condition);                                                              \
	} while (0)
/* For what cannot go on. */
#define TEST_REQUIRES(condition)                                                                                      \
	do {                                                                                                          \
		if (!(condition)) {                                                                                   \
			skipped = "Test requires: " #condition;                                                       \
			return;                                                                                       \
		}                                                                                                     \
	} while (0)

static void *hide(void *p)
{
	OPTIMIZER_HIDE_VAR(p);
	return p;
}
#define READ(p) ((void)*(volatile char *)hide(p))

/* ---- what was reported: the first two lines of the last report ---- */

enum error_type { OUT_OF_BOUNDS, USE_AFTER_FREE, CORRUPTION, INVALID, INVALID_FREE };
struct expect_report { enum error_type type; void *fn; char *addr; bool is_write; };
static int lines_seen;
static char lines[2][192];

static void probe_console(const char *text, size_t n)
{
	if (lines_seen == 0 && n > 13 && !strncmp(text, "BUG: KFENCE: ", 13)) {
		snprintf(lines[0], sizeof(lines[0]), "%.*s", (int)n, text);
		lines_seen = 1;
	} else if (lines_seen == 1 && n) {
		snprintf(lines[1], sizeof(lines[1]), "%.*s", (int)n, text);
		lines_seen = 2;
	}
}

static bool kfence_is_on(void)
{
	return kfence_sample_interval && __kfence_pool;
}

/* Every report is looked at once. */
static bool report_available(void)
{
	return READ_ONCE(lines_seen) == 2;
}

static void expect_report(const struct expect_report *r)
{
	static const char *const titles[] = { "out-of-bounds", "use-after-free", "memory corruption", "invalid", "invalid free" };
	static const char *const sentences[] = { "Out-of-bounds", "Use-after-free", "Corrupted memory", "Invalid", "Invalid free of" };
	bool is_access = r->type == OUT_OF_BOUNDS || r->type == USE_AFTER_FREE || r->type == INVALID;
	const char *access = !is_access ? "" : r->is_write ? " write" : " read";
	char title[128], sentence[128], function[64], *plus;

	if (!kfence_is_on()) {
		EXPECT(!report_available());
		return;
	}
	snprintf(function, sizeof(function), "%pS", r->fn);
	plus = strchr(function, '+');
	if (plus)
		*plus = 0;
	snprintf(title, sizeof(title), "BUG: KFENCE: %s%s in %s+", titles[r->type], access, function);
	snprintf(sentence, sizeof(sentence), "%s%s%s 0x%p", sentences[r->type], access, r->type == INVALID_FREE ? "" : " at", r->addr);
	if (!report_available())
		FAIL("Expected \"%s\", and nothing was reported", title);
	else if (strncmp(lines[0], title, strlen(title)) || strncmp(lines[1], sentence, strlen(sentence)))
		FAIL("Expected \"%s\" and \"%s\", found \"%s\" and \"%s\"", title, sentence, lines[0], lines[1]);
	lines_seen = 0;
}

/* ---- objects ---- */

enum policy { ANY, LEFT, RIGHT, NONE };

static void ctor_set_x(void *object)
{
	/* every object has at least 8 bytes */
	memset(object, 'x', 8);
}

static size_t setup_test_cache(size_t size, slab_flags_t flags, void (*ctor)(void *))
{
	if (!use_cache)
		return size;
	pr_info("    # %s: setup_test_cache: size=%zu, ctor=%ps\n", test_name, size, (void *)ctor);
	test_cache = kmem_cache_create("test", size, 1, flags, ctor);
	if (!test_cache)
		FAIL("no cache");
	return size;
}

static void test_cache_destroy(void)
{
	if (test_cache)
		kmem_cache_destroy(test_cache);
	test_cache = NULL;
}

static void test_free(void *p)
{
	if (test_cache)
		kmem_cache_free(test_cache, p);
	else
		kfree(p);
}

static void *allocate(size_t size, gfp_t gfp)
{
	return hide(test_cache ? kmem_cache_alloc(test_cache, gfp) : kmalloc(size, gfp));
}

static int index_of(char *const *all, int n, const char *p)
{
	for (int i = 0; i < n; i++)
		if (all[i] == p)
			return i;
	return -1;
}

/* An object in the middle of three. Its neighbours stay. */
static void *alloc_between(size_t size, gfp_t gfp)
{
	char *all[64];
	size_t slot = 8;
	int i, left = -1, right = -1;

	while (!test_cache && slot < size)
		slot *= 2;
	if (test_cache)
		slot = ALIGN(size, 8UL);
	for (i = 0; i < 64; i++)
		all[i] = allocate(size, gfp);
	for (i = 0; i < 64; i++) {
		left = index_of(all, 64, all[i] - slot);
		right = index_of(all, 64, all[i] + slot);
		if (left >= 0 && right >= 0)
			break;
	}
	for (int k = 0; k < 64; k++)
		if (i == 64 || (k != i && k != left && k != right))
			test_free(all[k]);
	if (i < 64)
		return all[i];
	FAIL("no neighbours");
	return allocate(size + 64, gfp);
}

/* From KFENCE, on the side of its page that is asked for; or not from KFENCE. */
static noinline void *test_alloc(size_t size, gfp_t gfp, enum policy policy)
{
	static const char *const names[] = { "any", "left", "right", "none" };
	unsigned long timeout = jiffies + 100 * kfence_sample_interval * HZ / 1000;

	pr_info("    # %s: test_alloc: size=%zu, gfp=%x, policy=%s, cache=%i\n", test_name, size, gfp, names[policy], test_cache != NULL);
	if (!kfence_is_on())
		return alloc_between(size, gfp);
	do {
		char *p = allocate(size, gfp);
		bool left = !((unsigned long)p & (PAGE_SIZE - 1));

		if (is_kfence_address(p) ? policy == ANY || policy == (left ? LEFT : RIGHT) : policy == NONE)
			return p;
		test_free(p);
		if (!is_kfence_address(p))
			msleep(1);
	} while ((long)(jiffies - timeout) < 0);
	FAIL("failed to allocate from KFENCE");
	return allocate(size, gfp);
}

static noinline void test_out_of_bounds_read(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { OUT_OF_BOUNDS, test_out_of_bounds_read, NULL, false };
	char *buf = test_alloc(size, GFP_KERNEL, LEFT);

	expect.addr = buf - 1;
	READ(expect.addr);
	expect_report(&expect);
	test_free(buf);
	buf = test_alloc(size, GFP_KERNEL, RIGHT);
	expect.addr = buf + size;
	READ(expect.addr);
	expect_report(&expect);
	test_free(buf);
}

static noinline void test_out_of_bounds_write(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	char *buf = test_alloc(size, GFP_KERNEL, LEFT);
	struct expect_report expect = { OUT_OF_BOUNDS, test_out_of_bounds_write, buf - 1, true };

	WRITE_ONCE(*expect.addr, 42);
	expect_report(&expect);
	test_free(buf);
}

static noinline void test_use_after_free_read(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { USE_AFTER_FREE, test_use_after_free_read, test_alloc(size, GFP_KERNEL, ANY), false };

	test_free(expect.addr);
	READ(expect.addr);
	expect_report(&expect);
}

static noinline void test_double_free(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { INVALID_FREE, test_double_free, NULL, false };

	TEST_REQUIRES(kfence_is_on());
	expect.addr = test_alloc(size, GFP_KERNEL, ANY);
	test_free(expect.addr);
	test_free(hide(expect.addr));
	expect_report(&expect);
}

static noinline void test_invalid_addr_free(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { INVALID_FREE, test_invalid_addr_free, NULL, false };
	char *buf;

	TEST_REQUIRES(kfence_is_on());
	buf = test_alloc(size, GFP_KERNEL, ANY);
	expect.addr = buf + 1;
	test_free(hide(expect.addr));
	expect_report(&expect);
	test_free(buf); /* that one is right */
}

static noinline void test_corruption(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { CORRUPTION, test_corruption, NULL, false };
	char *buf = test_alloc(size, GFP_KERNEL, LEFT);

	expect.addr = buf + size;
	WRITE_ONCE(*expect.addr, 42);
	test_free(buf);
	expect_report(&expect);
	buf = test_alloc(size, GFP_KERNEL, RIGHT);
	expect.addr = buf - 1;
	WRITE_ONCE(*expect.addr, 42);
	test_free(buf);
	expect_report(&expect);
}

static u32 random_below(u32 limit)
{
	static u64 state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) * limit >> 32;
}

/* Objects of KFENCE's and of others, freed in a row. */
static noinline void test_free_bulk(void)
{
	static const enum policy policies[] = { RIGHT, NONE, LEFT, NONE, NONE };

	for (int iteration = 0; iteration < 5; iteration++) {
		size_t size = setup_test_cache(8 + random_below(300), 0, iteration & 1 ? ctor_set_x : NULL);
		void *objects[ARRAY_SIZE(policies)];

		for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
			objects[i] = test_alloc(size, GFP_KERNEL, policies[i]);
		for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
			test_free(objects[i]);
		EXPECT(!report_available());
		if (kfence_is_on())
			test_cache_destroy();
		test_cache = NULL;
	}
}

extern bool init_on_free;

static noinline void test_init_on_free(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { USE_AFTER_FREE, test_init_on_free, NULL, false };

	TEST_REQUIRES(init_on_free);
	expect.addr = test_alloc(size, GFP_KERNEL, ANY);
	for (size_t i = 0; i < size; i++)
		expect.addr[i] = i + 1;
	test_free(expect.addr);
	for (size_t i = 0; i < size; i++) {
		EXPECT(((volatile char *)hide(expect.addr))[i] == 0);
		if (i == 0)
			expect_report(&expect);
	}
}

static noinline void test_memcache_ctor(void)
{
	size_t size = setup_test_cache(32, 0, ctor_set_x);
	char *buf = test_alloc(size, GFP_KERNEL, ANY);

	for (int i = 0; i < 8; i++)
		EXPECT(buf[i] == 'x');
	test_free(buf);
	EXPECT(!report_available());
}

/* The gap that alignment leaves at the right end: reads in it pass, behind it they are found. */
static noinline void test_kmalloc_aligned_oob_read(void)
{
	const size_t size = 73, align = 128;
	struct expect_report expect = { OUT_OF_BOUNDS, test_kmalloc_aligned_oob_read, NULL, false };
	char *buf = test_alloc(size, GFP_KERNEL, RIGHT);

	READ(buf + size);
	EXPECT(!report_available());
	expect.addr = buf + size + align;
	READ(expect.addr);
	expect_report(&expect);
	test_free(buf);
}

/* And writes in it are found by the free. */
static noinline void test_kmalloc_aligned_oob_write(void)
{
	const size_t size = 73;
	struct expect_report expect = { CORRUPTION, test_kmalloc_aligned_oob_write, NULL, false };
	char *buf = test_alloc(size, GFP_KERNEL, RIGHT);

	expect.addr = buf + size;
	WRITE_ONCE(*expect.addr, *(volatile char *)hide(expect.addr) + 1);
	EXPECT(!report_available());
	test_free(buf);
	expect_report(&expect);
}

static noinline void test_shrink_memcache(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	void *buf = test_alloc(size, GFP_KERNEL, ANY);

	kmem_cache_shrink(test_cache);
	test_free(buf);
	EXPECT(!report_available());
}

static noinline void test_invalid_access(void)
{
	struct expect_report expect = { INVALID, test_invalid_access, __kfence_pool + 10, false };

	TEST_REQUIRES(__kfence_pool);
	READ(expect.addr);
	expect_report(&expect);
}

/* Memory that was used before comes back as zeros. */
static noinline void test_gfpzero(void)
{
	const size_t size = PAGE_SIZE;
	char *first, *again = NULL;

	TEST_REQUIRES(kfence_is_on() && kfence_sample_interval <= 100);
	first = test_alloc(size, GFP_KERNEL, ANY);
	memset(first, 'x', size);
	test_free(first);
	for (int i = 0; i <= CONFIG_KFENCE_NUM_OBJECTS && !failed; i++) {
		again = test_alloc(size, GFP_KERNEL | __GFP_ZERO, ANY);
		if (again == first)
			break;
		test_free(again);
	}
	if (again != first)
		return;
	for (size_t i = 0; i < size; i++)
		EXPECT(again[i] == 0);
	test_free(again);
	EXPECT(!report_available());
}

static noinline void test_memcache_typesafe_by_rcu(void)
{
	size_t size = setup_test_cache(32, SLAB_TYPESAFE_BY_RCU, NULL);
	struct expect_report expect = { USE_AFTER_FREE, test_memcache_typesafe_by_rcu, test_alloc(size, GFP_KERNEL, ANY), false };

	*expect.addr = 42;
	test_free(expect.addr);
	if (kfence_is_on())
		EXPECT(*(volatile char *)expect.addr == 42); /* no grace period has passed */
	EXPECT(!report_available());
	rcu_barrier();
	READ(expect.addr);
	expect_report(&expect);
}

static noinline void test_krealloc(void)
{
	const size_t size = 32;
	struct expect_report expect = { USE_AFTER_FREE, test_krealloc, test_alloc(size, GFP_KERNEL, ANY), false };
	char *buf = expect.addr;
	size_t i;

	EXPECT(ksize(buf) == size); /* not what the cache could give */
	for (i = 0; i < size; i++)
		buf[i] = i + 1;
	buf = hide(krealloc(buf, size * 3, GFP_KERNEL));
	EXPECT(ksize(buf) >= size * 3);
	for (i = 0; i < size; i++)
		EXPECT(buf[i] == (char)(i + 1));
	for (; i < size * 3; i++)
		buf[i] = i + 1;
	buf = hide(krealloc(buf, size * 2, GFP_KERNEL));
	EXPECT(ksize(buf) >= size * 2);
	for (i = 0; i < size * 2; i++)
		EXPECT(buf[i] == (char)(i + 1));
	kfree(buf);
	EXPECT(!report_available());
	READ(expect.addr);
	expect_report(&expect);
}

/* Many objects at once, of which some are KFENCE's. */
static noinline void test_memcache_alloc_bulk(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	unsigned long timeout = jiffies + 100 * kfence_sample_interval * HZ / 1000;
	bool pass = false;
	void *objects[100];

	TEST_REQUIRES(kfence_is_on());
	while (!pass && (long)(jiffies - timeout) < 0) {
		for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
			objects[i] = allocate(size, GFP_KERNEL);
			pass |= is_kfence_address(objects[i]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
			test_free(objects[i]);
		if (!pass)
			msleep(1);
	}
	EXPECT(pass);
	EXPECT(!report_available());
}

/* Linux has no such case. A cache goes away while KFENCE has an object of it: that is not to be used again. */
static noinline void test_memcache_destroyed(void)
{
	size_t size = setup_test_cache(32, 0, NULL);
	struct expect_report expect = { USE_AFTER_FREE, test_memcache_destroyed, NULL, false };

	TEST_REQUIRES(kfence_is_on());
	expect.addr = test_alloc(size, GFP_KERNEL, ANY);
	test_cache_destroy();
	EXPECT(!report_available());
	READ(expect.addr);
	expect_report(&expect);
}

#define WITH_AND_WITHOUT_CACHE(fn) { #fn, fn, false }, { #fn "-memcache", fn, true }
static const struct test_case { const char *name; void (*run)(void); bool use_cache; } cases[] = {
	WITH_AND_WITHOUT_CACHE(test_out_of_bounds_read), WITH_AND_WITHOUT_CACHE(test_out_of_bounds_write),
	WITH_AND_WITHOUT_CACHE(test_use_after_free_read), WITH_AND_WITHOUT_CACHE(test_double_free),
	WITH_AND_WITHOUT_CACHE(test_invalid_addr_free), WITH_AND_WITHOUT_CACHE(test_corruption),
	WITH_AND_WITHOUT_CACHE(test_free_bulk), WITH_AND_WITHOUT_CACHE(test_init_on_free),
	{ "test_kmalloc_aligned_oob_read", test_kmalloc_aligned_oob_read, false },
	{ "test_kmalloc_aligned_oob_write", test_kmalloc_aligned_oob_write, false },
	{ "test_shrink_memcache", test_shrink_memcache, true }, { "test_memcache_ctor", test_memcache_ctor, true },
	{ "test_invalid_access", test_invalid_access, false }, { "test_gfpzero", test_gfpzero, false },
	{ "test_memcache_typesafe_by_rcu", test_memcache_typesafe_by_rcu, true }, { "test_krealloc", test_krealloc, false },
	{ "test_memcache_alloc_bulk", test_memcache_alloc_bulk, true },
	{ "test_memcache_destroyed", test_memcache_destroyed, true },
};

static struct completion done;

static int kunit_try_run_case(void *arg)
{
	const struct test_case *c = arg;

	c->run();
	complete(&done);
	return 0;
}

static int kfence_test_init(void)
{
	int pass = 0, fail = 0, skip = 0;

	pr_info("    KTAP version 1\n    # Subtest: kfence\n    1..%zu\n", ARRAY_SIZE(cases));
	trace_console = probe_console;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct test_case *c = &cases[i];

		test_name = c->name;
		use_cache = c->use_cache;
		failed = false;
		skipped = NULL;
		lines_seen = 0;
		init_completion(&done);
		if (IS_ERR(kthread_run(kunit_try_run_case, (void *)c, "kunit_try_catch"))) {
			trace_console = NULL;
			return -ENOMEM;
		}
		wait_for_completion(&done);
		/* an ordinary object's neighbours are still in there */
		if (kfence_is_on())
			test_cache_destroy();
		test_cache = NULL;
		if (skipped)
			pr_info("    ok %zu %s # SKIP %s\n", i + 1, c->name, skipped);
		else
			pr_info("    %s %zu %s\n", failed ? "not ok" : "ok", i + 1, c->name);
		skip += skipped != NULL;
		fail += failed;
		pass += !skipped && !failed;
	}
	trace_console = NULL;
	pr_info("# kfence: pass:%d fail:%d skip:%d total:%zu\n", pass, fail, skip, ARRAY_SIZE(cases));
	pr_info("# Totals: pass:%d fail:%d skip:%d total:%zu\n", pass, fail, skip, ARRAY_SIZE(cases));
	pr_info("%s 1 kfence\n", fail ? "not ok" : "ok");
	return 0;
}

static void kfence_test_exit(void)
{
}

module_init(kfence_test_init);
module_exit(kfence_test_exit);
MODULE_INTREE;
MODULE_INFO(test, "Y");
MODULE_LICENSE("GPL v2");
MODULE_DESCRIPTION("KFENCE's own test");
