/*
 * Verifying Ed25519 signatures (RFC 8032, 5.1.7). Numbers modulo 2^255 - 19 are five limbs of 51 bits; points are in
 * extended coordinates, where one formula adds any two of them. Nothing is secret here, so nothing hides its timing.
 */
#include <crypto/ed25519.h>

typedef unsigned __int128 u128;
struct fe { u64 v[5]; };
struct point { struct fe x, y, z, t; };
#define MASK ((1ull << 51) - 1)

static const struct fe D = { { 0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff } }, D2 = { { 0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977, 0x2406d9dc56dff } }, SQRT_M1 = { { 0x61b274a0ea0b0, 0xd5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d } };
static const struct fe ONE = { { 1 } };
static const struct point BASE = { { { 0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5 } }, { { 0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333, 0x6666666666666 } }, { { 1 } }, { { 0x68ab3a5b7dda3, 0xeea2a5eadbb, 0x2af8df483c27e, 0x332b375274732, 0x67875f0fd78b7 } } };
/* The order of the group, least significant word first. */
static const u64 ORDER[4] = { 0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0x0, 0x1000000000000000 };

static void carry(struct fe *a)
{
	for (int i = 0; i < 4; i++) {
		a->v[i + 1] += a->v[i] >> 51;
		a->v[i] &= MASK;
	}
	a->v[0] += 19 * (a->v[4] >> 51);
	a->v[4] &= MASK;
}

static struct fe add(const struct fe *a, const struct fe *b)
{
	struct fe r;

	for (int i = 0; i < 5; i++)
		r.v[i] = a->v[i] + b->v[i];
	carry(&r);
	return r;
}

/* Twice the modulus is added first, so that no limb goes below zero. */
static struct fe sub(const struct fe *a, const struct fe *b)
{
	struct fe r;

	for (int i = 0; i < 5; i++)
		r.v[i] = a->v[i] + (i ? 2 * MASK : 2 * (MASK - 18)) - b->v[i];
	carry(&r);
	return r;
}

static struct fe mul(const struct fe *a, const struct fe *b)
{
	u128 t[5] = { 0 };
	struct fe r;

	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 5; k++)
			t[(i + k) % 5] += (u128)a->v[i] * (i + k >= 5 ? 19 * b->v[k] : b->v[k]);
	for (int i = 0; i < 4; i++) {
		t[i + 1] += t[i] >> 51;
		r.v[i] = (u64)t[i] & MASK;
	}
	r.v[4] = (u64)t[4] & MASK;
	r.v[0] += 19 * (u64)(t[4] >> 51);
	carry(&r);
	return r;
}

/* a to the power 2^bits - less, the only kind of exponent needed here. */
static struct fe power(const struct fe *a, int bits, unsigned int less)
{
	struct fe r = ONE;

	for (int i = bits - 1; i >= 0; i--) {
		/* bit i of 2^bits - less: all ones above the low bits of `less` */
		bool set = i > 31 || ((0x100000000ull - less) >> i & 1);

		r = mul(&r, &r);
		if (set)
			r = mul(&r, a);
	}
	return r;
}

static struct fe inverse(const struct fe *a)
{
	return power(a, 255, 21);
}

static void to_bytes(u8 out[32], const struct fe *a)
{
	struct fe r = *a, reduced;

	carry(&r);
	carry(&r);
	/* r is below twice the modulus: subtract it once if that leaves nothing negative */
	reduced = r;
	reduced.v[0] += 19;
	for (int i = 0; i < 4; i++) {
		reduced.v[i + 1] += reduced.v[i] >> 51;
		reduced.v[i] &= MASK;
	}
	if (reduced.v[4] >> 51) {
		reduced.v[4] &= MASK;
		r = reduced;
	}
	memset(out, 0, 32);
	for (int bit = 0; bit < 255; bit++)
		out[bit / 8] |= (r.v[bit / 51] >> bit % 51 & 1) << bit % 8;
}

static struct fe from_bytes(const u8 in[32])
{
	struct fe r = { { 0 } };

	for (int bit = 0; bit < 255; bit++)
		r.v[bit / 51] |= (u64)(in[bit / 8] >> bit % 8 & 1) << bit % 51;
	return r;
}

static bool equal(const struct fe *a, const struct fe *b)
{
	u8 x[32], y[32];

	to_bytes(x, a);
	to_bytes(y, b);
	return !memcmp(x, y, 32);
}

static struct point add_points(const struct point *p, const struct point *q)
{
	struct fe a, b, c, d, e, f, g, h, s, t;

	s = sub(&p->y, &p->x);
	t = sub(&q->y, &q->x);
	a = mul(&s, &t);
	s = add(&p->y, &p->x);
	t = add(&q->y, &q->x);
	b = mul(&s, &t);
	c = mul(&p->t, &D2);
	c = mul(&c, &q->t);
	d = mul(&p->z, &q->z);
	d = add(&d, &d);
	e = sub(&b, &a);
	f = sub(&d, &c);
	g = add(&d, &c);
	h = add(&b, &a);
	return (struct point){ mul(&e, &f), mul(&g, &h), mul(&f, &g), mul(&e, &h) };
}

/* The point with this y and the sign of x in the top bit; false when there is none. */
static bool decode(struct point *p, const u8 in[32])
{
	struct fe yy, u, v, v3, v7, x, check, zero = { { 0 } };
	u8 bytes[32];

	p->y = from_bytes(in);
	p->z = ONE;
	yy = mul(&p->y, &p->y);
	u = sub(&yy, &ONE);
	v = mul(&yy, &D);
	v = add(&v, &ONE);
	v3 = mul(&v, &v);
	v3 = mul(&v3, &v);
	v7 = mul(&v3, &v3);
	v7 = mul(&v7, &v);
	x = mul(&u, &v7);
	x = power(&x, 252, 3);
	x = mul(&x, &v3);
	x = mul(&x, &u);
	check = mul(&x, &x);
	check = mul(&check, &v);
	if (!equal(&check, &u)) {
		u = sub(&zero, &u);
		if (!equal(&check, &u))
			return false;
		x = mul(&x, &SQRT_M1);
	}
	to_bytes(bytes, &x);
	if ((bytes[0] & 1) != in[31] >> 7)
		x = sub(&zero, &x);
	p->x = x;
	p->t = mul(&p->x, &p->y);
	return true;
}

static bool below_order(const u64 n[4])
{
	for (int i = 3; i >= 0; i--)
		if (n[i] != ORDER[i])
			return n[i] < ORDER[i];
	return false;
}

/* A number of 512 bits modulo the order, a bit at a time. */
static void reduce(u64 r[4], const u8 in[64])
{
	memset(r, 0, 32);
	for (int bit = 511; bit >= 0; bit--) {
		for (int i = 3; i > 0; i--)
			r[i] = r[i] << 1 | r[i - 1] >> 63;
		r[0] = r[0] << 1 | (in[bit / 8] >> bit % 8 & 1);
		if (!below_order(r)) {
			u64 borrow = 0;

			for (int i = 0; i < 4; i++) {
				u128 t = (u128)r[i] - ORDER[i] - borrow;

				r[i] = t;
				borrow = t >> 64 & 1;
			}
		}
	}
}

bool ed25519_verify(const u8 key[32], const void *message, size_t size, const u8 signature[64])
{
	const struct piece pieces[] = { { signature, 32 }, { key, 32 }, { message, size } };
	struct point a, both, sum = { { { 0 } }, ONE, ONE, { { 0 } } };
	struct fe zero = { { 0 } }, invert, x, y;
	u8 digest[64], encoded[32], sign[32];
	u64 k[4], s[4];

	memcpy(s, signature + 32, 32);
	if (!below_order(s) || !decode(&a, key))
		return false;
	a.x = sub(&zero, &a.x);
	a.t = sub(&zero, &a.t);
	sha512(pieces, 3, digest);
	reduce(k, digest);
	both = add_points(&a, &BASE);
	for (int bit = 255; bit >= 0; bit--) { /* [s]B - [k]A, both at once */
		bool in_s = s[bit / 64] >> bit % 64 & 1, in_k = k[bit / 64] >> bit % 64 & 1;

		sum = add_points(&sum, &sum);
		if (in_s || in_k)
			sum = add_points(&sum, in_s && in_k ? &both : in_s ? &BASE : &a);
	}
	invert = inverse(&sum.z);
	x = mul(&sum.x, &invert);
	y = mul(&sum.y, &invert);
	to_bytes(encoded, &y);
	to_bytes(sign, &x);
	encoded[31] |= sign[0] << 7;
	return !memcmp(encoded, signature, 32);
}
