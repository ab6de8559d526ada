/* The control protocol's frames: u32 length, u32 request id, `key=value\0`... (protocol.md). */
#ifndef WAFER_FRAME_H
#define WAFER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX (1024 * 1024)

/* A received body. Its strings live as long as it does. */
struct message {
	uint32_t id;
	char *body;
	size_t length;
};

/* A body being written, or bytes waiting to be sent. */
struct buffer {
	char *data;
	size_t length, capacity, start;
};

void buffer_add(struct buffer *buffer, const void *data, size_t length);
void buffer_free(struct buffer *buffer);
/* In a child, which is a copy of the engine: what is there of the next requests is not its own. */
void buffer_wipe(struct buffer *buffer);
void message_free(struct message *message);

/* Checks that the body is a list of NUL-terminated `key=value`. */
bool message_valid(const struct message *message);
/* The first value of `key`, or NULL. */
const char *message_get(const struct message *message, const char *key);
/* All values of `key`, in order; a NULL-terminated array that the caller frees. */
const char **message_all(const struct message *message, const char *key, size_t *count);

/* Starts a frame at the end of `out`; then add fields; then end it. */
size_t frame_begin(struct buffer *out, uint32_t id);
void frame_field(struct buffer *out, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void frame_end(struct buffer *out, size_t begin);

/* Takes one whole frame off the front of `in`: 1, 0 (not there yet), -1 (broken). */
int frame_take(struct buffer *in, struct message *message);

#endif
