/* Signatures: SHA-512 and the verifying half of Ed25519. */
#ifndef _CRYPTO_ED25519_H
#define _CRYPTO_ED25519_H
#include <linux/kernel.h>

struct piece { const void *data; size_t size; };
void sha512(const struct piece *pieces, int count, u8 digest[64]);
/* Whether `signature` (R and S, 64 bytes) is that of the message under the public key. */
bool ed25519_verify(const u8 key[32], const void *message, size_t size, const u8 signature[64]);
#endif
