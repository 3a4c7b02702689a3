/* Reference counts that saturate instead of wrapping. Mirrors Linux include/linux/refcount.h. */
#ifndef _LINUX_REFCOUNT_H
#define _LINUX_REFCOUNT_H
#include <linux/kernel.h>

/* A count that went wrong is pinned here for good, half way between the two ends of the range. */
#define REFCOUNT_SATURATED ((int)0xc0000000)
#define REFCOUNT_MAX 0x7fffffff
enum refcount_saturation_type {
	REFCOUNT_ADD_NOT_ZERO_OVF, REFCOUNT_ADD_OVF, REFCOUNT_ADD_UAF, REFCOUNT_SUB_UAF, REFCOUNT_DEC_LEAK,
};
void refcount_warn_saturate(refcount_t *r, enum refcount_saturation_type t);

#define REFCOUNT_INIT(n) { { n } }
static inline void refcount_set(refcount_t *r, int n)
{
	WRITE_ONCE(r->refs.counter, n);
}
static inline unsigned int refcount_read(const refcount_t *r)
{
	return READ_ONCE(r->refs.counter);
}
static inline void refcount_add(int i, refcount_t *r)
{
	int old = __atomic_fetch_add(&r->refs.counter, i, __ATOMIC_RELAXED);

	if (unlikely(!old))
		refcount_warn_saturate(r, REFCOUNT_ADD_UAF);
	else if (unlikely(old < 0 || old + i < 0))
		refcount_warn_saturate(r, REFCOUNT_ADD_OVF);
}
static inline void refcount_inc(refcount_t *r)
{
	refcount_add(1, r);
}
/* False when the count was 0 already. */
static inline bool refcount_add_not_zero(int i, refcount_t *r)
{
	int old = refcount_read(r);

	while (old && !__atomic_compare_exchange_n(&r->refs.counter, &old, old + i, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (unlikely(old < 0 || old + i < 0))
		refcount_warn_saturate(r, REFCOUNT_ADD_NOT_ZERO_OVF);
	return old;
}
static inline bool refcount_inc_not_zero(refcount_t *r)
{
	return refcount_add_not_zero(1, r);
}
/* True when this was the last reference. */
static inline bool refcount_sub_and_test(int i, refcount_t *r)
{
	int old = __atomic_fetch_sub(&r->refs.counter, i, __ATOMIC_RELEASE);

	if (old == i)
		return true;
	if (unlikely(old < 0 || old - i < 0))
		refcount_warn_saturate(r, REFCOUNT_SUB_UAF);
	return false;
}
static inline bool refcount_dec_and_test(refcount_t *r)
{
	return refcount_sub_and_test(1, r);
}
static inline void refcount_dec(refcount_t *r)
{
	if (unlikely(__atomic_fetch_sub(&r->refs.counter, 1, __ATOMIC_RELEASE) <= 1))
		refcount_warn_saturate(r, REFCOUNT_DEC_LEAK);
}
#endif
