/*
 * DEFLATE with the fixed Huffman codes (RFC 1951, 3.2.6): a greedy search by hashes of three bytes, inside one
 * block of input. Small, and quick enough for pages.
 */
#include "makedumpfile.h"

#define HASHES 1024
#define MIN_MATCH 3
#define MAX_MATCH 258

struct bits { u8 *to; size_t room, n; u64 pending; int count; bool full; };

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

/* Huffman codes go in with their most significant bit first. */
static void put_code(struct bits *b, u32 code, int count)
{
	u32 reversed = 0;

	for (int i = 0; i < count; i++)
		reversed |= (code >> i & 1) << (count - 1 - i);
	put(b, reversed, count);
}

static void put_symbol(struct bits *b, u32 symbol)
{
	if (symbol < 144)
		put_code(b, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(b, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(b, symbol - 256, 7);
	else
		put_code(b, 0xc0 + symbol - 280, 8);
}

/* Lengths 3 to 258 and distances are a code and extra bits: groups of four and two codes share a width. */
static void put_match(struct bits *b, u32 length, u32 distance)
{
	u32 n = length - MIN_MATCH, extra = 0;

	if (length == MAX_MATCH)
		put_symbol(b, 285);
	else {
		while (n >> extra >= 8)
			extra++;
		put_symbol(b, n < 8 ? 257 + n : 261 + 4 * extra + (n >> extra & 3));
		put(b, n & ((1u << extra) - 1), extra);
	}
	n = distance - 1;
	extra = 0;
	while (n >> extra >= 4)
		extra++;
	put_code(b, n < 4 ? n : 2 + 2 * extra + (n >> extra & 1), 5);
	put(b, n & ((1u << extra) - 1), extra);
}

static u32 adler32(const u8 *p, size_t n)
{
	u32 a = 1, b = 0;

	for (size_t i = 0; i < n; i++) {
		a = (a + p[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

size_t zlib_compress(const u8 *from, size_t n, u8 *to, size_t room)
{
	static u16 last[HASHES]; /* position + 1 */
	struct bits b = { .to = to, .room = room };
	u32 sum = adler32(from, n);

	memset(last, 0, sizeof(last));
	put(&b, 0x0178, 16); /* deflate, 32 KiB window, no dictionary */
	put(&b, 3, 3);	     /* the last block, fixed codes */
	for (size_t at = 0; at < n && !b.full;) {
		size_t length = 0, match = 0;

		if (at + MIN_MATCH <= n) {
			u32 hash = (from[at] << 16 | from[at + 1] << 8 | from[at + 2]) * 2654435761u >> 22;

			match = last[hash];
			last[hash] = at + 1;
			if (match)
				for (match--; at + length < n && length < MAX_MATCH && from[match + length] == from[at + length];)
					length++;
		}
		if (length < MIN_MATCH) {
			put_symbol(&b, from[at++]);
			continue;
		}
		put_match(&b, length, at - match);
		at += length;
	}
	put_symbol(&b, 256);
	put(&b, 0, -b.count & 7);
	for (int i = 0; i < 4; i++)
		put(&b, sum >> (24 - 8 * i) & 0xff, 8);
	return b.full ? 0 : b.n;
}
