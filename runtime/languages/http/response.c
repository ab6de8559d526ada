/*
 * The server's answer, fed in pieces of any cut. Hostile input: what is wrong comes back
 * as the end of a sentence ("the server sent ..."), after which the call has to fail.
 * What is right goes to the sink at once: the head, then the pieces of the body.
 */
#include "wafer-http.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct field { const char *name; size_t name_len; const char *value; size_t value_len; };

struct head_state {
	struct field *fields;
	size_t count;
	long long length;
	bool chunked;
};

static bool is_token(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!p[i] || (!isalnum((unsigned char)p[i]) && !strchr("!#$%&'*+-.^_`|~", p[i])))
			return false;
	return n > 0;
}

static bool is_value(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return true;
}

static bool is_named(const struct field *f, const char *name)
{
	return f->name_len == strlen(name) && strncasecmp(f->name, name, f->name_len) == 0;
}

/* Whether the comma-separated list of a field has the token. */
static bool lists(const struct field *f, const char *token, size_t n)
{
	const char *p = f->value, *end = f->value + f->value_len;
	while (p < end) {
		while (p < end && strchr(" \t,", *p))
			p++;
		const char *from = p;
		while (p < end && !strchr(" \t,;", *p))
			p++;
		if ((size_t)(p - from) == n && strncasecmp(from, token, n) == 0)
			return true;
		while (p < end && *p != ',')
			p++;
	}
	return false;
}

/* Only digits, no sign, no overflow; -1 otherwise. */
static long long parse_size(const char *p, size_t n, int base)
{
	long long value = 0;
	if (n == 0 || n > 15)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int c = tolower((unsigned char)p[i]);
		int digit = isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
		if (digit >= base)
			return -1;
		value = value * base + digit;
	}
	return value;
}

/* Fields that say where the body ends: any doubt about that is refused. */
static const char *note_framing(struct head_state *h, const struct field *f)
{
	if (is_named(f, "content-length")) {
		long long length = parse_size(f->value, f->value_len, 10);
		if (length < 0 || (h->length >= 0 && h->length != length))
			return "sent a content-length that is not valid";
		h->length = length;
	}
	if (is_named(f, "transfer-encoding")) {
		if (f->value_len != 7 || strncasecmp(f->value, "chunked", 7) != 0)
			return "sent a transfer-encoding other than chunked";
		h->chunked = true;
	}
	return NULL;
}

static const char *parse_field(struct head_state *h, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	if (!colon || !is_token(line, (size_t)(colon - line)))
		return "sent a header whose name is not valid";
	if (h->count == RESPONSE_HEADERS_MAX)
		return "sent too many headers";
	const char *value = colon + 1, *end = line + n;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	struct field f = {line, (size_t)(colon - line), value, (size_t)(end - value)};
	if (!is_value(f.value, f.value_len))
		return "sent a header whose value is not valid";
	const char *wrong = note_framing(h, &f);
	if (wrong)
		return wrong;
	h->fields[h->count++] = f;
	return NULL;
}

static bool is_hop_by_hop(const struct head_state *h, const struct field *f)
{
	static const char *const NAMES[] = {"connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te",
					    "trailer", "transfer-encoding", "upgrade"};
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
		if (is_named(f, NAMES[i]))
			return true;
	for (size_t i = 0; i < h->count; i++)
		if (is_named(&h->fields[i], "connection") && lists(&h->fields[i], f->name, f->name_len))
			return true;
	return h->chunked && is_named(f, "content-length");
}

static void keep_fields(struct response *r, struct head_state *h)
{
	buf_str(&r->headers, "[");
	for (size_t i = 0; i < h->count; i++) {
		struct field *f = &h->fields[i];
		char name[256];
		if (is_hop_by_hop(h, f) || f->name_len >= sizeof name)
			continue;
		for (size_t k = 0; k < f->name_len; k++)
			name[k] = (char)tolower((unsigned char)f->name[k]);
		buf_str(&r->headers, r->headers.len > 1 ? ",[" : "[");
		json_put(&r->headers, name, f->name_len, true);
		buf_str(&r->headers, ",");
		json_put(&r->headers, f->value, f->value_len, true);
		buf_str(&r->headers, "]");
		if (is_named(f, "content-type") && !r->content_type && f->value_len > 0 && f->value_len <= 256)
			r->content_type = strndup(f->value, f->value_len);
	}
	buf_str(&r->headers, "]");
}

/* The head without its last empty line, NUL-terminated. */
static const char *parse_head(struct response *r, struct head_state *h, char *text, size_t n)
{
	char *end = text + n, *line = strstr(text, "\r\n");
	size_t first = (size_t)(line - text);
	if (first < 12 || strncmp(text, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)text[7]) || text[8] != ' ')
		return "sent something that is not an HTTP/1 answer";
	r->status = (int)parse_size(text + 9, 3, 10);
	if (r->status < 100 || r->status > 599 || (first > 12 && text[12] != ' '))
		return "sent a status that is not valid";
	for (line += 2; line < end;) {
		char *stop = strstr(line, "\r\n");
		const char *wrong = parse_field(h, line, (size_t)(stop - line));
		if (wrong)
			return wrong;
		line = stop + 2;
	}
	return r->status == 101 ? "switched protocols, which a function can not" : NULL;
}

static const char *finish_head(struct response *r)
{
	struct head_state h = {.length = -1, .fields = xmalloc(RESPONSE_HEADERS_MAX * sizeof(struct field))};
	size_t n = r->head.len - 2;
	char *text = buf_at(&r->head);
	const char *wrong = NULL;
	if (memchr(text, '\0', n))
		wrong = "sent a header with a NUL in it";
	text[n] = '\0';
	if (!wrong)
		wrong = parse_head(r, &h, text, n);
	if (!wrong && r->status >= 200) {
		keep_fields(r, &h);
		bool empty = r->bodyless || r->status == 204 || r->status == 304;
		r->left = h.length;
		r->part = empty ? P_DONE : h.chunked ? P_SIZE : h.length < 0 ? P_CLOSE : h.length == 0 ? P_DONE : P_LENGTH;
	}
	bool interim = !wrong && r->status < 200;
	free(h.fields);
	buf_free(&r->head);
	if (!wrong && !interim)
		r->sink->head(r->owner);
	return wrong;
}

/* Collects up to and with the end mark; the number of bytes taken. */
static size_t collect(struct buf *to, const char *bytes, size_t n, const char *mark, bool *found)
{
	size_t size = strlen(mark);
	for (size_t i = 0; i < n; i++) {
		buf_add(to, bytes + i, 1);
		*found = to->len >= size && memcmp(buf_at(to) + to->len - size, mark, size) == 0;
		if (*found)
			return i + 1;
	}
	return n;
}

static const char *finish_line(struct response *r)
{
	const char *line = buf_at(&r->head);
	size_t n = r->head.len - 2, digits = 0;
	const char *wrong = NULL;
	if (r->part == P_SIZE) {
		while (digits < n && isxdigit((unsigned char)line[digits]))
			digits++;
		r->left = parse_size(line, digits, 16);
		if (r->left < 0 || (digits < n && !strchr("; \t", line[digits])))
			wrong = "sent a chunk whose size is not valid";
		r->part = r->left == 0 ? P_TRAILER : P_CHUNK;
	} else if (r->part == P_CHUNK_END) {
		if (n != 0)
			wrong = "sent a chunk that is longer than its size";
		r->part = P_SIZE;
	} else if (n == 0) {
		r->part = P_DONE;
	}
	buf_free(&r->head);
	return wrong;
}

static void feed_body(struct response *r, const char *bytes, size_t *n)
{
	if (r->part != P_CLOSE && (long long)*n > r->left)
		*n = (size_t)r->left;
	if (r->part != P_CLOSE)
		r->left -= (long long)*n;
	if (r->part == P_LENGTH && r->left == 0)
		r->part = P_DONE;
	else if (r->part == P_CHUNK && r->left == 0)
		r->part = P_CHUNK_END;
	r->sink->body(r->owner, bytes, *n);
}

const char *response_feed(struct response *r, const char *bytes, size_t n)
{
	const char *wrong = NULL;
	while (n > 0 && r->part != P_DONE && !wrong) {
		size_t taken = n;
		bool found = false;
		if (r->part == P_LENGTH || r->part == P_CLOSE || r->part == P_CHUNK) {
			feed_body(r, bytes, &taken);
		} else {
			taken = collect(&r->head, bytes, n, r->part == P_HEAD ? "\r\n\r\n" : "\r\n", &found);
			if (found)
				wrong = r->part == P_HEAD ? finish_head(r) : finish_line(r);
			else if (r->head.len > RESPONSE_HEAD_MAX)
				wrong = "sent a head that is too long";
		}
		bytes += taken;
		n -= taken;
	}
	return wrong;
}

bool response_close(struct response *r)
{
	if (r->part == P_CLOSE)
		r->part = P_DONE;
	return r->part == P_DONE;
}

void response_free(struct response *r)
{
	buf_free(&r->head);
	buf_free(&r->headers);
	free(r->content_type);
	*r = (struct response){0};
}
