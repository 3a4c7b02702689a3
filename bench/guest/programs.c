/*
 * The bench guest's programs: portable C, no libc, general registers only, the
 * same source for the 64-bit and the 32-bit image. Each returns a checksum, so
 * that every emulator can be held to the same answer. What only one word size
 * can do (ring 3 by SYSCALL) lives in machine64.c.
 */
#include "bench.h"

static u32 seed;

static u32 next_random(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static u8 buffer[4 << 20] __attribute__((aligned(4096)));

u32 run_alu(void)
{
	u32 a = 1, b = 0x9e3779b9u, c = 7;

	for (u32 i = 0; i < 6000000; i++) {
		a += b ^ (c << 3);
		b = (b << 7) | (b >> 25);
		c ^= a - i;
		a = (a >> 1) + (c & 0xff00ff);
		b -= c;
	}
	return a ^ b ^ c;
}

u32 run_sieve(void)
{
	u32 count = 0;

	for (u32 round = 0; round < 4; round++) {
		for (u32 i = 0; i < 1 << 20; i++)
			buffer[i] = 1;
		for (u32 i = 2; i < 1024; i++)
			if (buffer[i])
				for (u32 j = i * i; j < 1 << 20; j += i)
					buffer[j] = 0;
		for (u32 i = 2; i < 1 << 20; i++)
			count += buffer[i];
	}
	return count;
}

u32 run_memloop(void)
{
	volatile word *to = (volatile word *)buffer;
	volatile word *from = (volatile word *)(buffer + (2 << 20));
	volatile u32 *seen = (volatile u32 *)buffer;
	u32 words = 65536 / sizeof(word), sum = 0;

	for (u32 i = 0; i < 65536 / 4; i++)
		((volatile u32 *)from)[i] = i * 2654435761u;
	for (u32 round = 0; round < 400; round++)
		for (u32 i = 0; i < words; i++)
			to[i] = from[i];
	for (u32 i = 0; i < 65536 / 4; i++)
		sum = sum * 31 + seen[i];
	return sum;
}

u32 run_memrep(void)
{
	u32 sum = 0;

	for (u32 i = 0; i < 65536; i++)
		buffer[(2 << 20) + i] = (u8)(i * 5);
	for (u32 round = 0; round < 1000; round++) {
		void *to = buffer;
		const void *from = buffer + (2 << 20);
		word count = 65536;

		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
		to = buffer + (1 << 20);
		count = 65536;
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(round) : "memory");
		sum = sum * 31 + buffer[(1 << 20) + (round & 0xffff)] + buffer[round];
	}
	return sum;
}

u32 run_chase(void)
{
	u32 *next = (u32 *)buffer;
	u32 entries = sizeof(buffer) / 4, at = 0;

	seed = 42;
	for (u32 i = 0; i < entries; i++)
		next[i] = i;
	for (u32 i = entries - 1; i > 0; i--) { /* Sattolo: one cycle through all */
		u32 j = next_random() % i, t = next[i];

		next[i] = next[j];
		next[j] = t;
	}
	for (u32 i = 0; i < 4000000; i++)
		at = next[at];
	return at;
}

static void quick_sort(i32 *v, i32 low, i32 high)
{
	while (low < high) {
		i32 pivot = v[(low + high) >> 1], i = low, j = high;

		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i <= j) {
				i32 t = v[i];

				v[i++] = v[j];
				v[j--] = t;
			}
		}
		if (j - low < high - i) {
			quick_sort(v, low, j);
			low = i;
		} else {
			quick_sort(v, i, high);
			high = j;
		}
	}
}

u32 run_qsort(void)
{
	i32 *v = (i32 *)buffer;
	u32 sum = 0;

	for (u32 round = 0; round < 8; round++) {
		seed = round;
		for (u32 i = 0; i < 100000; i++)
			v[i] = (i32)next_random();
		quick_sort(v, 0, 99999);
		for (u32 i = 0; i < 100000; i += 997)
			sum = sum * 31 + (u32)v[i];
	}
	return sum;
}

u32 run_crc32(void)
{
	static u32 table[256];
	u32 crc = ~0u;

	for (u32 i = 0; i < 256; i++) {
		u32 c = i;

		for (u32 k = 0; k < 8; k++)
			c = c & 1 ? (c >> 1) ^ 0xedb88320u : c >> 1;
		table[i] = c;
	}
	for (u32 i = 0; i < 1 << 20; i++)
		buffer[i] = (u8)(i * 7);
	for (u32 round = 0; round < 16; round++)
		for (u32 i = 0; i < 1 << 20; i++)
			crc = table[(crc ^ buffer[i]) & 0xff] ^ (crc >> 8);
	return ~crc;
}

static u32 __attribute__((noinline)) fib(u32 n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

u32 run_fib(void)
{
	return fib(32);
}

/* A bytecode interpreter through a function table: indirect calls that are hard to predict. */
static struct {
	u32 acc, counter, pc;
} vm;
static void op_add(void) { vm.acc += vm.counter; }
static void op_xor(void) { vm.acc ^= vm.acc << 5; }
static void op_rot(void) { vm.acc = (vm.acc << 9) | (vm.acc >> 23); }
static void op_sub(void) { vm.acc -= 0x1234567; }
static void op_loop(void) { vm.counter--; vm.pc = ~0u; }
static void (*const ops[])(void) = { op_add, op_xor, op_rot, op_sub, op_loop };

u32 run_vm(void)
{
	static const u8 code[] = { 0, 1, 2, 0, 3, 1, 2, 0, 1, 3, 4 };

	vm.acc = 1;
	vm.counter = 600000;
	for (vm.pc = 0; vm.counter; vm.pc++)
		ops[code[vm.pc]]();
	return vm.acc;
}

static const u32 sha_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static u32 rotate(u32 x, u32 n)
{
	return (x >> n) | (x << (32 - n));
}

static void sha_block(u32 *h, const u8 *p)
{
	u32 w[64], s[8];

	for (u32 i = 0; i < 16; i++)
		w[i] = (u32)p[4 * i] << 24 | (u32)p[4 * i + 1] << 16 | (u32)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (u32 i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (u32 i = 0; i < 8; i++)
		s[i] = h[i];
	for (u32 i = 0; i < 64; i++) {
		u32 t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
			 ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_k[i] + w[i];
		u32 t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
			 ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		s[7] = s[6];
		s[6] = s[5];
		s[5] = s[4];
		s[4] = s[3] + t1;
		s[3] = s[2];
		s[2] = s[1];
		s[1] = s[0];
		s[0] = t1 + t2;
	}
	for (u32 i = 0; i < 8; i++)
		h[i] += s[i];
}

u32 run_sha256(void)
{
	u32 h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	for (u32 i = 0; i < 1 << 20; i++)
		buffer[i] = (u8)(i ^ i >> 8);
	for (u32 i = 0; i < 1 << 20; i += 64)
		sha_block(h, buffer + i);
	return h[0] ^ h[7];
}

/* Lists, a small matrix, strings and divisions: what ordinary programs mix. */
u32 run_mix(void)
{
	static struct node {
		struct node *next;
		u32 key;
	} nodes[512];
	static u32 matrix[3][24][24];
	struct node *head = 0;
	u32 sum = 0;

	seed = 7;
	for (u32 round = 0; round < 120; round++) {
		head = 0;
		for (u32 i = 0; i < 512; i++) {
			struct node **at = &head;

			nodes[i].key = next_random() & 0xffff;
			for (u32 steps = 0; *at && (*at)->key < nodes[i].key && steps < 48; steps++)
				at = &(*at)->next;
			nodes[i].next = *at;
			*at = &nodes[i];
		}
		for (struct node *n = head; n; n = n->next)
			sum = sum * 33 + n->key / 7 + n->key % 13;
		for (u32 i = 0; i < 24; i++)
			for (u32 j = 0; j < 24; j++) {
				matrix[0][i][j] = next_random();
				matrix[1][i][j] = i * j + round;
			}
		for (u32 i = 0; i < 24; i++)
			for (u32 j = 0; j < 24; j++) {
				u32 dot = 0;

				for (u32 k = 0; k < 24; k++)
					dot += matrix[0][i][k] * matrix[1][k][j];
				matrix[2][i][j] = dot;
				sum ^= dot;
			}
		for (u32 i = 0; i < 4096; i++)
			buffer[i] = (u8)('a' + next_random() % 26);
		for (u32 i = 0, run = 0; i < 4096; i++) {
			run = buffer[i] == 'e' || buffer[i] == 't' ? run + 1 : 0;
			if (run > 1)
				sum += i;
		}
	}
	return sum;
}

/* 64 small functions on 64 pages, called in a scattered order. */
#define PAGE_FUNCTION(n)                                                                    \
	static u32 __attribute__((noinline, aligned(4096))) on_page_##n(u32 x)              \
	{                                                                                   \
		return (x ^ n) * 2654435761u + n;                                           \
	}
#define EIGHT(m, a) m(a##0) m(a##1) m(a##2) m(a##3) m(a##4) m(a##5) m(a##6) m(a##7)
EIGHT(PAGE_FUNCTION, 1) EIGHT(PAGE_FUNCTION, 2) EIGHT(PAGE_FUNCTION, 3) EIGHT(PAGE_FUNCTION, 4)
EIGHT(PAGE_FUNCTION, 5) EIGHT(PAGE_FUNCTION, 6) EIGHT(PAGE_FUNCTION, 7) EIGHT(PAGE_FUNCTION, 8)
#define PAGE_NAME(n) on_page_##n,
static u32 (*const pages[64])(u32) = {
	EIGHT(PAGE_NAME, 1) EIGHT(PAGE_NAME, 2) EIGHT(PAGE_NAME, 3) EIGHT(PAGE_NAME, 4)
	EIGHT(PAGE_NAME, 5) EIGHT(PAGE_NAME, 6) EIGHT(PAGE_NAME, 7) EIGHT(PAGE_NAME, 8)
};

u32 run_xpage(void)
{
	u32 x = 1;

	for (u32 i = 0; i < 3000000; i++)
		x = pages[(i * 29) & 63](x);
	return x;
}

u32 run_pio(void)
{
	u32 sum = 0;

	for (u32 i = 0; i < 500000; i++) {
		u8 value;

		__asm__ volatile("inb $0x61, %0" : "=a"(value));
		sum += value & 1; /* the speaker gate bit, which nothing changes */
	}
	return sum;
}
