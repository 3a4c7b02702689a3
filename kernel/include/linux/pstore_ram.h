/*
 * A zone of memory that survives a restart.
 *
 *     +0  u32 signature "DBGC"     +4  u32 start: where the next byte goes     +8  u32 size: bytes that are there
 *     +12 data, a ring: when size is the room's whole, the oldest byte is at start
 *
 * Mirrors Linux include/linux/pstore_ram.h and fs/pstore/ram_core.c.
 */
#ifndef _LINUX_PSTORE_RAM_H
#define _LINUX_PSTORE_RAM_H
#include <linux/types.h>

#define PERSISTENT_RAM_SIG 0x43474244
struct persistent_ram_buffer { u32 sig; atomic_t start, size; u8 data[]; };
struct persistent_ram_zone { const char *label; struct persistent_ram_buffer *buffer; size_t buffer_size; };

/* Keeps what a valid zone has; an invalid one becomes empty. */
void persistent_ram_init(struct persistent_ram_zone *prz, u64 phys, size_t size, const char *label);
void persistent_ram_write(struct persistent_ram_zone *prz, const void *s, size_t count);
/* Copies the content, oldest byte first; it must have room for buffer_size bytes. */
size_t persistent_ram_read(const struct persistent_ram_zone *prz, char *to);
void persistent_ram_zap(struct persistent_ram_zone *prz);
#endif
