/* Growing byte buffers. */
#include "wafer-http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct buf *b, size_t more)
{
	if (b->start && (b->len == 0 || b->start + b->len + more > b->cap)) {
		if (b->len)
			memmove(b->data, b->data + b->start, b->len);
		b->start = 0;
	}
	if (b->start + b->len + more <= b->cap)
		return;
	size_t cap = b->cap ? b->cap : 1024;
	while (cap < b->len + more)
		cap *= 2;
	char *data = realloc(b->data, cap);
	if (!data)
		die("out of memory for %zu bytes", cap);
	b->data = data;
	b->cap = cap;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	reserve(b, n);
	memcpy(b->data + b->start + b->len, bytes, n);
	b->len += n;
}

void buf_str(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_fmt(struct buf *b, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		die("out of memory for a message");
	buf_add(b, text, (size_t)n);
	free(text);
}

void buf_take(struct buf *b, size_t n)
{
	b->start += n;
	b->len -= n;
	if (b->len == 0)
		b->start = 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}
