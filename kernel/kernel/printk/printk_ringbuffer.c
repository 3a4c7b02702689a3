/*
 * Writing and reading the record ring. One writer at a time: printk holds interrupts off around it, and an
 * oops inside printk finds every finished record intact, because a record becomes visible by one store.
 */
#include <linux/kernel.h>
#include <linux/printk_ringbuffer.h>
#include "internal.h"

#define DESCS (1UL << PRB_DESC_BITS)
#define TEXT (1UL << PRB_TEXT_BITS)
#define DESC0_ID ((-DESCS) & DESC_ID_MASK)
#define BLK0_LPOS (-TEXT)

static char __log_buf[TEXT] __aligned(8);
static struct prb_desc _printk_rb_static_descs[DESCS];
static struct printk_info _printk_rb_static_infos[DESCS];
static struct printk_ringbuffer printk_rb_static = {
	.desc_ring = {
		.count_bits = PRB_DESC_BITS,
		.descs = _printk_rb_static_descs,
		.infos = _printk_rb_static_infos,
		.head_id = { (s64)DESC0_ID },
		.tail_id = { (s64)DESC0_ID },
		.last_finalized_id = { (s64)DESC0_ID },
	},
	.text_data_ring = {
		.size_bits = PRB_TEXT_BITS,
		.data = __log_buf,
		.head_lpos = { (s64)BLK0_LPOS },
		.tail_lpos = { (s64)BLK0_LPOS },
	},
};
struct printk_ringbuffer *prb = &printk_rb_static;
char *log_buf = __log_buf;
u32 log_buf_len = TEXT;
struct latched_seq clear_seq;
static u64 next_seq, first_seq;

static struct prb_desc *desc_of(unsigned long id)
{
	return &prb->desc_ring.descs[id & (DESCS - 1)];
}

/* Gives up the oldest record. */
static void drop_oldest(void)
{
	unsigned long tail = prb->desc_ring.tail_id.counter;
	struct prb_desc *d = desc_of(tail);

	d->state_var.counter = (s64)(tail | (unsigned long)desc_reusable << 62);
	prb->text_data_ring.tail_lpos.counter = d->text_blk_lpos.next;
	prb->desc_ring.tail_id.counter = (tail + 1) & DESC_ID_MASK;
	first_seq++;
}

void prb_store(struct printk_info *given, const char *text, size_t length)
{
	unsigned long id = ((unsigned long)prb->desc_ring.head_id.counter + 1) & DESC_ID_MASK;
	struct prb_desc *d = desc_of(id);
	struct printk_info *info = &prb->desc_ring.infos[id & (DESCS - 1)];
	unsigned long begin = prb->text_data_ring.head_lpos.counter;
	size_t size = ALIGN(length + sizeof(unsigned long), 8UL);
	unsigned long at = begin & (TEXT - 1), next = begin + size;
	char *block = prb->text_data_ring.data + at;

	if (at + size > TEXT) { /* does not fit before the end: the block starts over at the beginning */
		next = ((begin + TEXT) & ~(TEXT - 1)) + size;
		block = prb->text_data_ring.data;
	}
	if (next_seq == 0)
		prb->desc_ring.tail_id.counter = id;
	while (next_seq - first_seq >= DESCS - 1 ||
	       (next_seq > first_seq && next - (unsigned long)prb->text_data_ring.tail_lpos.counter > TEXT))
		drop_oldest();
	if (block == prb->text_data_ring.data && at)
		*(unsigned long *)(prb->text_data_ring.data + at) = id;
	*(unsigned long *)block = id;
	memcpy(block + sizeof(unsigned long), text, length);
	given->seq = next_seq;
	given->text_len = length;
	*info = *given;
	d->text_blk_lpos.begin = begin;
	d->text_blk_lpos.next = next;
	prb->text_data_ring.head_lpos.counter = next;
	prb->desc_ring.head_id.counter = id;
	barrier();
	d->state_var.counter = (s64)(id | (unsigned long)desc_finalized << 62);
	prb->desc_ring.last_finalized_id.counter = id;
	next_seq++;
}

u64 prb_first_seq(void)
{
	return first_seq;
}

u64 prb_next_seq(void)
{
	return next_seq;
}

int prb_read(u64 seq, struct printk_info *info, char *text, size_t size)
{
	unsigned long id = (DESC0_ID + 1 + seq) & DESC_ID_MASK;
	struct prb_desc *d = desc_of(id);
	unsigned long at;
	size_t n;

	if (seq < first_seq || seq >= next_seq)
		return -1;
	*info = prb->desc_ring.infos[id & (DESCS - 1)];
	at = d->text_blk_lpos.begin & (TEXT - 1);
	if ((d->text_blk_lpos.begin ^ (d->text_blk_lpos.next - 1)) & ~(TEXT - 1))
		at = 0;
	n = min((size_t)info->text_len, size);
	memcpy(text, prb->text_data_ring.data + at + sizeof(unsigned long), n);
	return n;
}
