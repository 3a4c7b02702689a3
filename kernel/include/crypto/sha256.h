/* SHA-256 (FIPS 180-4), for purgatory and what else must know that bytes are what they were. */
#ifndef _CRYPTO_SHA256_H
#define _CRYPTO_SHA256_H
#include <linux/types.h>
#define SHA256_DIGEST_SIZE 32
struct sha256_state { u32 state[8]; u64 count; u8 buf[64]; };
void sha256_init(struct sha256_state *s);
void sha256_update(struct sha256_state *s, const u8 *data, size_t n);
void sha256_final(struct sha256_state *s, u8 digest[SHA256_DIGEST_SIZE]);
#endif
