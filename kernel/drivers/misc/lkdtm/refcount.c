/* Crash points about reference counts. Mirrors Linux drivers/misc/lkdtm/refcount.c. */
#include <linux/refcount.h>
#include "lkdtm.h"

static void overflow_check(refcount_t *ref)
{
	switch (refcount_read(ref)) {
	case (unsigned int)REFCOUNT_SATURATED:
		lk_info("Overflow detected: saturated\n");
		break;
	case (unsigned int)REFCOUNT_MAX:
		lk_warn("Overflow detected: unsafely reset to max\n");
		break;
	default:
		lk_err("Fail: refcount wrapped to %d\n", refcount_read(ref));
	}
}

static noinline void lkdtm_REFCOUNT_INC_OVERFLOW(void)
{
	refcount_t over = REFCOUNT_INIT(REFCOUNT_MAX - 1);

	lk_info("attempting good refcount_inc() without overflow\n");
	refcount_dec(&over);
	refcount_inc(&over);
	lk_info("attempting bad refcount_inc() overflow\n");
	refcount_inc(&over);
	refcount_inc(&over);
	overflow_check(&over);
}

static noinline void lkdtm_REFCOUNT_ADD_OVERFLOW(void)
{
	refcount_t over = REFCOUNT_INIT(REFCOUNT_MAX - 1);

	lk_info("attempting good refcount_add() without overflow\n");
	refcount_dec(&over);
	refcount_dec(&over);
	refcount_dec(&over);
	refcount_dec(&over);
	refcount_add(4, &over);
	lk_info("attempting bad refcount_add() overflow\n");
	refcount_add(4, &over);
	overflow_check(&over);
}

static noinline bool __refcount_inc_not_zero(refcount_t *r)
{
	return refcount_inc_not_zero(r);
}

static noinline bool __refcount_add_not_zero(int i, refcount_t *r)
{
	return refcount_add_not_zero(i, r);
}

static noinline bool __refcount_sub_and_test(int i, refcount_t *r)
{
	return refcount_sub_and_test(i, r);
}

static noinline void lkdtm_REFCOUNT_INC_NOT_ZERO_OVERFLOW(void)
{
	refcount_t over = REFCOUNT_INIT(REFCOUNT_MAX);

	lk_info("attempting bad refcount_inc_not_zero() overflow\n");
	if (!__refcount_inc_not_zero(&over))
		lk_warn("Weird: refcount_inc_not_zero() reported zero\n");
	overflow_check(&over);
}

static noinline void lkdtm_REFCOUNT_ADD_NOT_ZERO_OVERFLOW(void)
{
	refcount_t over = REFCOUNT_INIT(REFCOUNT_MAX);

	lk_info("attempting bad refcount_add_not_zero() overflow\n");
	if (!__refcount_add_not_zero(6, &over))
		lk_warn("Weird: refcount_add_not_zero() reported zero\n");
	overflow_check(&over);
}

static void check_zero(refcount_t *ref)
{
	switch (refcount_read(ref)) {
	case (unsigned int)REFCOUNT_SATURATED:
		lk_info("Zero detected: saturated\n");
		break;
	case (unsigned int)REFCOUNT_MAX:
		lk_warn("Zero detected: unsafely reset to max\n");
		break;
	case 0:
		lk_warn("Still at zero: refcount_inc/add() must not inc-from-0\n");
		break;
	default:
		lk_err("Fail: refcount went crazy: %d\n", refcount_read(ref));
	}
}

static noinline void lkdtm_REFCOUNT_DEC_ZERO(void)
{
	refcount_t zero = REFCOUNT_INIT(2);

	lk_info("attempting good refcount_dec()\n");
	refcount_dec(&zero);
	lk_info("attempting bad refcount_dec() to zero\n");
	refcount_dec(&zero);
	check_zero(&zero);
}

static void check_negative(refcount_t *ref, int start)
{
	if (refcount_read(ref) == (unsigned int)start) {
		lk_warn("Still at %d: refcount_inc/add() must not inc-from-0\n", start);
		return;
	}
	switch (refcount_read(ref)) {
	case (unsigned int)REFCOUNT_SATURATED:
		lk_info("Negative detected: saturated\n");
		break;
	case (unsigned int)REFCOUNT_MAX:
		lk_warn("Negative detected: unsafely reset to max\n");
		break;
	default:
		lk_err("Fail: refcount went crazy: %d\n", refcount_read(ref));
	}
}

static noinline void lkdtm_REFCOUNT_DEC_NEGATIVE(void)
{
	refcount_t neg = REFCOUNT_INIT(0);

	lk_info("attempting bad refcount_dec() below zero\n");
	refcount_dec(&neg);
	check_negative(&neg, 0);
}

static noinline void lkdtm_REFCOUNT_DEC_AND_TEST_NEGATIVE(void)
{
	refcount_t neg = REFCOUNT_INIT(0);

	lk_info("attempting bad refcount_dec_and_test() below zero\n");
	if (__refcount_sub_and_test(1, &neg))
		lk_warn("Weird: refcount_dec_and_test() reported zero\n");
	check_negative(&neg, 0);
}

static noinline void lkdtm_REFCOUNT_SUB_AND_TEST_NEGATIVE(void)
{
	refcount_t neg = REFCOUNT_INIT(3);

	lk_info("attempting bad refcount_sub_and_test() below zero\n");
	if (__refcount_sub_and_test(5, &neg))
		lk_warn("Weird: refcount_sub_and_test() reported zero\n");
	check_negative(&neg, 3);
}

static void check_from_zero(refcount_t *ref)
{
	switch (refcount_read(ref)) {
	case 0:
		lk_info("Zero detected: stayed at zero\n");
		break;
	case (unsigned int)REFCOUNT_SATURATED:
		lk_info("Zero detected: saturated\n");
		break;
	case (unsigned int)REFCOUNT_MAX:
		lk_warn("Zero detected: unsafely reset to max\n");
		break;
	default:
		lk_info("Fail: zero not detected, incremented to %d\n", refcount_read(ref));
	}
}

static noinline void lkdtm_REFCOUNT_INC_ZERO(void)
{
	refcount_t zero = REFCOUNT_INIT(0);

	lk_info("attempting safe refcount_inc_not_zero() from zero\n");
	if (!refcount_inc_not_zero(&zero)) {
		lk_info("Good: zero detected\n");
		if (refcount_read(&zero) == 0)
			lk_info("Correctly stayed at zero\n");
		else
			lk_err("Fail: refcount went past zero!\n");
	} else
		lk_err("Fail: Zero not detected!?\n");
	lk_info("attempting bad refcount_inc() from zero\n");
	refcount_inc(&zero);
	check_from_zero(&zero);
}

static noinline void lkdtm_REFCOUNT_ADD_ZERO(void)
{
	refcount_t zero = REFCOUNT_INIT(0);

	lk_info("attempting safe refcount_add_not_zero() from zero\n");
	if (!refcount_add_not_zero(3, &zero)) {
		lk_info("Good: zero detected\n");
		if (refcount_read(&zero) == 0)
			lk_info("Correctly stayed at zero\n");
		else
			lk_err("Fail: refcount went past zero\n");
	} else
		lk_err("Fail: Zero not detected!?\n");
	lk_info("attempting bad refcount_add() from zero\n");
	refcount_add(3, &zero);
	check_from_zero(&zero);
}

static void check_saturated(refcount_t *ref)
{
	switch (refcount_read(ref)) {
	case (unsigned int)REFCOUNT_SATURATED:
		lk_info("Saturation detected: still saturated\n");
		break;
	case (unsigned int)REFCOUNT_MAX:
		lk_warn("Saturation detected: unsafely reset to max\n");
		break;
	default:
		lk_err("Fail: refcount went crazy: %d\n", refcount_read(ref));
	}
}

static noinline void lkdtm_REFCOUNT_INC_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_inc() from saturated\n");
	refcount_inc(&sat);
	check_saturated(&sat);
}

static noinline void lkdtm_REFCOUNT_DEC_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_dec() from saturated\n");
	refcount_dec(&sat);
	check_saturated(&sat);
}

static noinline void lkdtm_REFCOUNT_ADD_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_add() from saturated\n");
	refcount_add(8, &sat);
	check_saturated(&sat);
}

static noinline void lkdtm_REFCOUNT_INC_NOT_ZERO_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_inc_not_zero() from saturated\n");
	if (!__refcount_inc_not_zero(&sat))
		lk_warn("Weird: refcount_inc_not_zero() reported zero\n");
	check_saturated(&sat);
}

static noinline void lkdtm_REFCOUNT_ADD_NOT_ZERO_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_add_not_zero() from saturated\n");
	if (!__refcount_add_not_zero(7, &sat))
		lk_warn("Weird: refcount_add_not_zero() reported zero\n");
	check_saturated(&sat);
}

static noinline void lkdtm_REFCOUNT_DEC_AND_TEST_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_dec_and_test() from saturated\n");
	if (__refcount_sub_and_test(1, &sat))
		lk_warn("Weird: refcount_dec_and_test() reported zero\n");
	check_saturated(&sat);
}

static noinline void lkdtm_REFCOUNT_SUB_AND_TEST_SATURATED(void)
{
	refcount_t sat = REFCOUNT_INIT(REFCOUNT_SATURATED);

	lk_info("attempting bad refcount_sub_and_test() from saturated\n");
	if (__refcount_sub_and_test(8, &sat))
		lk_warn("Weird: refcount_sub_and_test() reported zero\n");
	check_saturated(&sat);
}

/* How fast the checked counts are beside plain atomic ones: many rounds, to be timed from outside. */
static noinline void lkdtm_ATOMIC_TIMING(void)
{
	atomic_t count = { 1 };

	for (unsigned int i = 0; i < 1000000; i++)
		__atomic_fetch_add(&count.counter, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 1000000; i > 0; i--)
		if (__atomic_fetch_sub(&count.counter, 1, __ATOMIC_RELAXED) == 1)
			break;
	if (count.counter != 1)
		lk_err("atomic timing: count went wrong: %d\n", count.counter);
	else
		lk_info("atomic timing: done\n");
}

static noinline void lkdtm_REFCOUNT_TIMING(void)
{
	refcount_t count = REFCOUNT_INIT(1);

	for (unsigned int i = 0; i < 1000000; i++)
		refcount_inc(&count);
	for (unsigned int i = 1000000; i > 0; i--)
		if (refcount_dec_and_test(&count))
			break;
	if (refcount_read(&count) != 1)
		lk_err("refcount: went wrong: %d\n", refcount_read(&count));
	else
		lk_info("refcount timing: done\n");
}

static const struct crashtype crashtypes[] = {
	CRASHTYPE(REFCOUNT_INC_OVERFLOW), CRASHTYPE(REFCOUNT_ADD_OVERFLOW), CRASHTYPE(REFCOUNT_INC_NOT_ZERO_OVERFLOW),
	CRASHTYPE(REFCOUNT_ADD_NOT_ZERO_OVERFLOW), CRASHTYPE(REFCOUNT_DEC_ZERO), CRASHTYPE(REFCOUNT_DEC_NEGATIVE),
	CRASHTYPE(REFCOUNT_DEC_AND_TEST_NEGATIVE), CRASHTYPE(REFCOUNT_SUB_AND_TEST_NEGATIVE), CRASHTYPE(REFCOUNT_INC_ZERO),
	CRASHTYPE(REFCOUNT_ADD_ZERO), CRASHTYPE(REFCOUNT_INC_SATURATED), CRASHTYPE(REFCOUNT_DEC_SATURATED),
	CRASHTYPE(REFCOUNT_ADD_SATURATED), CRASHTYPE(REFCOUNT_INC_NOT_ZERO_SATURATED),
	CRASHTYPE(REFCOUNT_ADD_NOT_ZERO_SATURATED), CRASHTYPE(REFCOUNT_DEC_AND_TEST_SATURATED),
	CRASHTYPE(REFCOUNT_SUB_AND_TEST_SATURATED), CRASHTYPE(ATOMIC_TIMING), CRASHTYPE(REFCOUNT_TIMING),
};
CRASHTYPES(refcount);
