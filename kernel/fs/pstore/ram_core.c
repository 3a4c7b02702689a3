/* Rings of bytes in memory that nobody clears. What lies there may be anything. Mirrors Linux fs/pstore/ram_core.c. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/pstore_ram.h>

void persistent_ram_zap(struct persistent_ram_zone *prz)
{
	prz->buffer->start.counter = 0;
	prz->buffer->size.counter = 0;
}

void persistent_ram_init(struct persistent_ram_zone *prz, u64 phys, size_t size, const char *label)
{
	struct persistent_ram_buffer *buffer = __va(phys);
	size_t room = size - sizeof(*buffer);

	*prz = (struct persistent_ram_zone){ label, buffer, room };
	if (buffer->sig == PERSISTENT_RAM_SIG) {
		u32 start = buffer->start.counter, used = buffer->size.counter;

		if (used <= room && start <= used)
			return;
		pr_info("ramoops: found existing invalid buffer, size %lu, start %lu\n", (unsigned long)used, (unsigned long)start);
	}
	buffer->sig = PERSISTENT_RAM_SIG;
	persistent_ram_zap(prz);
}

void persistent_ram_write(struct persistent_ram_zone *prz, const void *s, size_t count)
{
	const u8 *from = s;
	u32 start, first;

	if (count > prz->buffer_size) {
		from += count - prz->buffer_size;
		count = prz->buffer_size;
	}
	start = min((size_t)prz->buffer->start.counter, prz->buffer_size);
	first = min(count, prz->buffer_size - start);
	memcpy(prz->buffer->data + start, from, first);
	memcpy(prz->buffer->data, from + first, count - first);
	prz->buffer->start.counter = first < count || start + count == prz->buffer_size ? count - first : start + count;
	prz->buffer->size.counter = min(prz->buffer->size.counter + count, prz->buffer_size);
}

size_t persistent_ram_read(const struct persistent_ram_zone *prz, char *to)
{
	size_t size = prz->buffer->size.counter, start = prz->buffer->start.counter;

	if (size > prz->buffer_size || start > size)
		return 0;
	memcpy(to, prz->buffer->data + start, size - start);
	memcpy(to + size - start, prz->buffer->data, start);
	return size;
}
