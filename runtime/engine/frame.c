#define _GNU_SOURCE
#include "frame.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Requests may hold secrets, and every child begins as a copy of the engine's memory. */
static void wipe(char *data, size_t length)
{
	if (data)
		explicit_bzero(data, length);
}

void buffer_add(struct buffer *buffer, const void *data, size_t length)
{
	if (buffer->start > 0 && buffer->start == buffer->length)
		buffer->start = buffer->length = 0;
	if (buffer->length + length > buffer->capacity) {
		size_t capacity = buffer->capacity ? buffer->capacity : 4096;
		while (capacity < buffer->length + length)
			capacity *= 2;
		char *grown = need_memory(capacity);
		if (buffer->data)
			memcpy(grown, buffer->data, buffer->length);
		wipe(buffer->data, buffer->length);
		free(buffer->data);
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}

void buffer_wipe(struct buffer *buffer)
{
	wipe(buffer->data, buffer->length);
}

void message_free(struct message *message)
{
	wipe(message->body, message->length);
	free(message->body);
	message->body = NULL;
}

bool message_valid(const struct message *message)
{
	if (message->length == 0 || message->body[message->length - 1] != '\0')
		return false;
	for (size_t at = 0; at < message->length; at += strlen(message->body + at) + 1)
		if (!strchr(message->body + at, '='))
			return false;
	return true;
}

/* The value when the field at `at` has this key, else NULL. */
static const char *value_at(const struct message *message, size_t at, const char *key)
{
	size_t length = strlen(key);
	const char *field = message->body + at;
	return !strncmp(field, key, length) && field[length] == '=' ? field + length + 1 : NULL;
}

const char *message_get(const struct message *message, const char *key)
{
	for (size_t at = 0; at < message->length; at += strlen(message->body + at) + 1) {
		const char *value = value_at(message, at, key);
		if (value)
			return value;
	}
	return NULL;
}

const char **message_all(const struct message *message, const char *key, size_t *count)
{
	size_t found = 0;
	for (size_t at = 0; at < message->length; at += strlen(message->body + at) + 1)
		found += value_at(message, at, key) != NULL;
	const char **all = need_array(found + 1, sizeof(*all));
	*count = 0;
	for (size_t at = 0; at < message->length; at += strlen(message->body + at) + 1) {
		const char *value = value_at(message, at, key);
		if (value)
			all[(*count)++] = value;
	}
	return all;
}

size_t frame_begin(struct buffer *out, uint32_t id)
{
	uint32_t head[2] = { 0, htonl(id) };
	buffer_add(out, head, sizeof(head));
	return out->length - sizeof(head);
}

void frame_field(struct buffer *out, const char *key, const char *format, ...)
{
	cleanup_free char *value = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&value, format, arguments) < 0)
		abort();
	va_end(arguments);
	buffer_add(out, key, strlen(key));
	buffer_add(out, "=", 1);
	buffer_add(out, value, strlen(value) + 1);
}

void frame_end(struct buffer *out, size_t begin)
{
	uint32_t length = htonl((uint32_t)(out->length - begin - 8));
	memcpy(out->data + begin, &length, sizeof(length));
}

int frame_take(struct buffer *in, struct message *message)
{
	uint32_t head[2];
	size_t available = in->length - in->start;
	if (available < sizeof(head))
		return 0;
	memcpy(head, in->data + in->start, sizeof(head));
	size_t length = ntohl(head[0]);
	if (length > FRAME_MAX)
		return -1;
	if (available < sizeof(head) + length)
		return 0;
	*message = (struct message){ .id = ntohl(head[1]), .length = length };
	message->body = need_memory(length + 1);
	memcpy(message->body, in->data + in->start + sizeof(head), length);
	in->start += sizeof(head) + length;
	/* Move the rest down, so that the buffer stays as big as one frame. */
	memmove(in->data, in->data + in->start, in->length - in->start);
	in->length -= in->start;
	wipe(in->data + in->length, in->start);
	in->start = 0;
	return 1;
}
