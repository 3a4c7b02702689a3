/*
 * The printk record ring of Linux 5.10 to 6.1. Text blocks start with their descriptor's id; ids and
 * positions start just below zero, so that the first wrap comes early. Tools read this layout from dumps.
 */
#ifndef _LINUX_PRINTK_RINGBUFFER_H
#define _LINUX_PRINTK_RINGBUFFER_H
#include <linux/types.h>

struct dev_printk_info { char subsystem[16], device[48]; };
struct printk_info { u64 seq, ts_nsec; u16 text_len; u8 facility, flags : 5, level : 3; u32 caller_id; struct dev_printk_info dev_info; };
struct prb_data_blk_lpos { unsigned long begin, next; };
struct prb_desc { atomic_long_t state_var; struct prb_data_blk_lpos text_blk_lpos; };
struct prb_data_ring { unsigned int size_bits; char *data; atomic_long_t head_lpos, tail_lpos; };
struct prb_desc_ring { unsigned int count_bits; struct prb_desc *descs; struct printk_info *infos; atomic_long_t head_id, tail_id, last_finalized_id; };
struct printk_ringbuffer { struct prb_desc_ring desc_ring; struct prb_data_ring text_data_ring; atomic_long_t fail; };
struct prb_data_block { unsigned long id; char data[]; };
enum desc_state { desc_miss = -1, desc_reserved = 0, desc_committed = 1, desc_finalized = 2, desc_reusable = 3 };
enum log_flags { LOG_NEWLINE = 2, LOG_CONT = 8 };
typedef struct { u32 sequence; } seqcount_latch_t;
struct latched_seq { seqcount_latch_t latch; u64 val[2]; };

#define PRB_DESC_BITS 11
#define PRB_TEXT_BITS 17
#define DESC_ID_MASK (~(3UL << 62))
extern struct printk_ringbuffer *prb;
extern char *log_buf;
extern u32 log_buf_len;
extern struct latched_seq clear_seq;

/* Copies the record `seq` into text; its length, or -1 when it is gone or not there yet. */
int prb_read(u64 seq, struct printk_info *info, char *text, size_t size);
/* Bytes of a record's text, at most, and of its longest form. */
#define PRINTK_LINE_MAX 1024
#define CONSOLE_EXT_LOG_MAX 8192
size_t record_print_text(const struct printk_info *info, const char *text, size_t n, bool syslog, char *buf, size_t size);
size_t record_print_ext(const struct printk_info *info, const char *text, size_t n, char *buf, size_t size);
/* A record from a program, through /dev/kmsg. */
void devkmsg_emit(int facility, int level, const char *text);
u64 prb_first_seq(void);
u64 prb_next_seq(void);
#endif
