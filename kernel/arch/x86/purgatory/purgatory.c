/* SHA-256 of what was loaded against what it was. A kernel that differs is not entered: it says so and halts. */
#include <crypto/sha256.h>
#include <linux/types.h>

struct kexec_sha_region { u64 start, len; };
extern const u8 sha256_digest[SHA256_DIGEST_SIZE];
extern const u64 nr_regions;
extern const struct kexec_sha_region sha_regions[];
void purgatory(void);

void *memcpy(void *d, const void *s, size_t n);
void *memset(void *s, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n)
{
	void *to = d;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(n) : : "memory");
	return d;
}

void *memset(void *s, int c, size_t n)
{
	void *to = s;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return s;
}

static u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static void say(const char *s)
{
	for (; *s; s++) {
		for (int i = 0; i < 100000 && !(inb(0x3fd) & 0x20); i++)
			;
		__asm__ volatile("outb %0, %1" : : "a"(*s), "Nd"((u16)0x3f8));
	}
}

void purgatory(void)
{
	struct sha256_state state;
	u8 digest[SHA256_DIGEST_SIZE];
	bool same = true;

	sha256_init(&state);
	for (u64 i = 0; i < nr_regions; i++)
		sha256_update(&state, (const u8 *)sha_regions[i].start, sha_regions[i].len);
	sha256_final(&state, digest);
	for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
		same &= digest[i] == sha256_digest[i];
	if (same)
		return;
	say("purgatory: sha256 digests do not match: the loaded kernel has been damaged\r\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}
