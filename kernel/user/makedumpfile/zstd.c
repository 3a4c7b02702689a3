/*
 * A zstd frame (RFC 8878) of one block: raw literals, and sequences coded by the predefined distributions. The
 * states of the three FSE coders are found backwards, as the decoder will walk them: for a symbol and the state that
 * comes after it there is just one state that leads there.
 */
#include "makedumpfile.h"

#define HASHES 1024
#define MIN_MATCH 4
#define MAX_SEQUENCES 1024

struct sequence { u16 literals, match, offset; };
struct state { u8 symbol, bits; u16 baseline; };
struct table { int log; struct state states[64]; };
struct bits { u8 *to; size_t room, n; u64 pending; int count; bool full; };
/* Values of a code: from base on, told apart by extra bits. */
struct code { u16 base; u8 extra; };

static const signed char literal_counts[] = { 4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1 };
static const signed char match_counts[] = { 1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1 };
static const signed char offset_counts[] = { 1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1 };
/* Codes after those whose base is their number. */
static const struct code literal_codes[] = { { 16, 1 }, { 18, 1 }, { 20, 1 }, { 22, 1 }, { 24, 2 }, { 28, 2 }, { 32, 3 }, { 40, 3 }, { 48, 4 }, { 64, 6 }, { 128, 7 }, { 256, 8 }, { 512, 9 }, { 1024, 10 }, { 2048, 11 } };
static const struct code match_codes[] = { { 35, 1 }, { 37, 1 }, { 39, 1 }, { 41, 1 }, { 43, 2 }, { 47, 2 }, { 51, 3 }, { 59, 3 }, { 67, 4 }, { 83, 4 }, { 99, 5 }, { 131, 7 }, { 259, 8 }, { 515, 9 }, { 1027, 10 }, { 2051, 11 } };

static void put(struct bits *b, u32 value, int count)
{
	b->pending |= (u64)value << b->count;
	for (b->count += count; b->count >= 8; b->count -= 8, b->pending >>= 8) {
		if (b->n == b->room)
			b->full = true;
		else
			b->to[b->n++] = b->pending;
	}
}

/* RFC 8878, 4.1.1: rare symbols at the end, the others spread over the rest. */
static void build(struct table *t, const signed char *counts, int n, int log)
{
	int size = 1 << log, high = size, at = 0;
	u16 next[64];

	t->log = log;
	for (int s = 0; s < n; s++) {
		next[s] = counts[s] < 0 ? 1 : counts[s];
		if (counts[s] < 0)
			t->states[--high].symbol = s;
	}
	for (int s = 0; s < n; s++)
		for (int i = 0; i < counts[s]; i++) {
			t->states[at].symbol = s;
			do
				at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
			while (at >= high);
		}
	for (int i = 0; i < size; i++) {
		int value = next[t->states[i].symbol]++;

		t->states[i].bits = log - (31 - __builtin_clz(value));
		t->states[i].baseline = (value << t->states[i].bits) - size;
	}
}

/* The state that has this symbol and leads to `after`; any that has it when nothing comes after (-1). */
static int lead(struct bits *b, const struct table *t, u32 symbol, int after)
{
	for (int i = 0; i < 1 << t->log; i++) {
		const struct state *s = &t->states[i];

		if (s->symbol != symbol || (after >= 0 && (after < s->baseline || after >= s->baseline + (1 << s->bits))))
			continue;
		if (after >= 0)
			put(b, after - s->baseline, s->bits);
		return i;
	}
	return 0;
}

static u32 code_of(u32 value, u32 direct, const struct code *codes, int n, struct code *found)
{
	int i = n - 1;

	*found = (struct code){ value, 0 };
	if (value < direct)
		return value;
	while (codes[i].base > value)
		i--;
	*found = codes[i];
	return i;
}

static void put_sequences(struct bits *b, const struct sequence *list, int n)
{
	static struct table literals, matches, offsets;
	int l = -1, m = -1, o = -1;

	if (!literals.log) {
		build(&literals, literal_counts, ARRAY_SIZE(literal_counts), 6);
		build(&matches, match_counts, ARRAY_SIZE(match_counts), 6);
		build(&offsets, offset_counts, ARRAY_SIZE(offset_counts), 5);
	}
	while (n--) {
		u32 value = list[n].offset + 3, offset_code = 31 - __builtin_clz(value);
		struct code lc, mc;
		u32 li = code_of(list[n].literals, 16, literal_codes, ARRAY_SIZE(literal_codes), &lc);
		u32 mi = code_of(list[n].match, 35, match_codes, ARRAY_SIZE(match_codes), &mc);

		o = lead(b, &offsets, offset_code, o);
		m = lead(b, &matches, list[n].match < 35 ? list[n].match - 3 : mi + 32, m);
		l = lead(b, &literals, list[n].literals < 16 ? li : li + 16, l);
		put(b, list[n].literals - lc.base, lc.extra);
		put(b, list[n].match - mc.base, mc.extra);
		put(b, value - (1u << offset_code), offset_code);
	}
	put(b, m, matches.log);
	put(b, o, offsets.log);
	put(b, l, literals.log);
	put(b, 1, 1);
	put(b, 0, -b->count & 7);
}

size_t zstd_compress(const u8 *from, size_t n, u8 *to, size_t room)
{
	static struct sequence list[MAX_SEQUENCES];
	static u8 literals[PAGE];
	static u16 last[HASHES]; /* position + 1 */
	struct bits b = { .to = to, .room = room };
	size_t used = 0, run = 0, block;
	int count = 0;

	memset(last, 0, sizeof(last));
	for (size_t at = 0; at < n;) {
		size_t length = 0, match = 0;

		if (at + MIN_MATCH <= n && count < MAX_SEQUENCES) {
			u32 word, hash;

			memcpy(&word, from + at, 4);
			hash = word * 2654435761u >> 22;
			match = last[hash];
			last[hash] = at + 1;
			if (match)
				for (match--; at + length < n && from[match + length] == from[at + length];)
					length++;
		}
		if (length < MIN_MATCH) {
			literals[used++] = from[at++];
			run++;
			continue;
		}
		list[count++] = (struct sequence){ run, length, at - match };
		run = 0;
		at += length;
	}
	if (used >= 4096 || n < 256 || n > 65535 + 256)
		return 0;
	put(&b, 0xfd2fb528 & 0xffff, 16);
	put(&b, 0xfd2fb528 >> 16, 16);
	put(&b, 0x60, 8); /* one segment, two bytes of size */
	put(&b, n - 256, 16);
	block = b.n;
	put(&b, 0, 24); /* filled in below */
	put(&b, 4 | used << 4, 16); /* raw literals, 12 bits of size */
	for (size_t i = 0; i < used; i++)
		put(&b, literals[i], 8);
	if (count < 128)
		put(&b, count, 8);
	else {
		put(&b, (count >> 8) + 128, 8);
		put(&b, count & 0xff, 8);
	}
	if (count) {
		put(&b, 0, 8); /* three predefined distributions */
		put_sequences(&b, list, count);
	}
	if (b.full)
		return 0;
	for (int i = 0; i < 3; i++)
		to[block + i] = (1 | 2 << 1 | (b.n - block - 3) << 3) >> (8 * i);
	return b.n;
}
