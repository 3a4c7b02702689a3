/*
 * Where the dump goes. Plain: bytes at their places, in whole pages, as a disk wants them. Flattened: records of
 * offset, length and bytes behind a header, all numbers big-endian, which `makedumpfile -R` puts in place.
 */
#include "makedumpfile.h"

#define BUFFER 65536UL

static void write_out(struct output *o, const void *data, size_t n)
{
	long err = o->failed ? 0 : write_all(o->fd, data, n);

	if (err) {
		dprintf(2, "makedumpfile: write: %s\n", strerror(err));
		o->failed = true;
	}
}

/* Records go out in whole buffers: a disk takes nothing but sectors. */
static void put(struct output *o, const void *data, size_t n)
{
	while (n) {
		size_t part = BUFFER - o->stream_used < n ? BUFFER - o->stream_used : n;

		memcpy(o->stream + o->stream_used, data, part);
		o->stream_used += part;
		data = (const u8 *)data + part;
		n -= part;
		if (o->stream_used == BUFFER) {
			write_out(o, o->stream, BUFFER);
			o->stream_used = 0;
		}
	}
}

static void big_endian(u8 *to, u64 value)
{
	for (int i = 0; i < 8; i++)
		to[i] = value >> (56 - 8 * i);
}

static void flush(struct output *o)
{
	size_t n = (o->used + PAGE - 1) & ~(PAGE - 1);
	u8 header[16];

	if (!o->used)
		return;
	if (o->flat) {
		big_endian(header, o->start);
		big_endian(header + 8, o->used);
		put(o, header, sizeof(header));
		put(o, o->buffer, o->used);
	} else {
		memset(o->buffer + o->used, 0, n - o->used);
		if (syscall(SYS_lseek, o->fd, o->base + o->start, 0) < 0)
			o->failed = true;
		write_out(o, o->buffer, n);
	}
	o->start += o->used;
	if (o->start > o->length)
		o->length = o->start;
	o->used = 0;
}

int output_open(struct output *o, const char *path, bool flat)
{
	char name[128];
	char *at;

	snprintf(name, sizeof(name), "%s", path);
	at = strrchr(name, '@');
	if (at)
		*at++ = 0;
	*o = (struct output){ .fd = strcmp(name, "-") ? open(name, O_RDWR | O_CREAT | O_TRUNC) : 1, .flat = flat, .base = at ? strtol(at, NULL, 10) : 0, .buffer = malloc(BUFFER), .stream = malloc(BUFFER) };
	if (o->fd < 0)
		return o->fd;
	if (!o->buffer || !o->stream)
		return -12;
	if (flat) {
		memset(o->buffer, 0, PAGE);
		strcpy((char *)o->buffer, "makedumpfile");
		big_endian(o->buffer + 16, 1);
		big_endian(o->buffer + 24, 1);
		put(o, o->buffer, PAGE);
	}
	return 0;
}

void output_at(struct output *o, u64 offset, const void *data, size_t n)
{
	if (offset != o->start + o->used) {
		flush(o);
		o->start = offset;
	}
	while (n) {
		size_t part = BUFFER - o->used < n ? BUFFER - o->used : n;

		memcpy(o->buffer + o->used, data, part);
		o->used += part;
		data = (const u8 *)data + part;
		n -= part;
		if (o->used == BUFFER)
			flush(o);
	}
}

int output_close(struct output *o)
{
	struct stat st;

	flush(o);
	if (o->flat) {
		u8 end[16];

		memset(end, 0xff, sizeof(end));
		put(o, end, sizeof(end));
		if (!syscall(SYS_fstat, o->fd, &st, 0) && (st.st_mode & S_IFMT) == S_IFBLK)
			while (o->stream_used % 512)
				o->stream[o->stream_used++] = 0;
		write_out(o, o->stream, o->stream_used);
	}
	return o->failed ? -5 : 0;
}
