/*
 * A call as an HTTP/1.1 request: CALL becomes the head, BODY and END become the body, and
 * both end up in `out`, in the order in which the server has to get them. No sockets here.
 *
 * Servers are written in any language, and not all read chunks; so the head is held back
 * until the length is known where that is cheap (events up to COLLECT_MAX, methods that
 * seldom have a body), and a chunked body is the last resort.
 */
#include "wafer-http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* CALL */

struct words { char *kind, *method, *path, *query; };

static bool is_clean(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

/* JSON has the bytes of a header as characters up to U+00FF; back to bytes, in place. */
static void latin1(char *text)
{
	unsigned char *to = (unsigned char *)text;
	for (const unsigned char *from = to; *from; to++) {
		bool two = (*from == 0xc2 || *from == 0xc3) && (from[1] & 0xc0) == 0x80;
		*to = two ? (unsigned char)(*from << 6 | (from[1] & 0x3f)) : *from < 0x80 ? *from : '?';
		from += two ? 2 : 1;
	}
	*to = '\0';
}

static void add_header(struct request *r, struct buf *fields, const char *name, char *value)
{
	static const char *const DROPPED[] = {"host", "connection", "keep-alive", "proxy-connection", "te", "trailer",
					      "transfer-encoding", "upgrade", "expect", "x-wafer-invocation"};
	for (size_t i = 0; i < sizeof DROPPED / sizeof *DROPPED; i++)
		if (strcasecmp(name, DROPPED[i]) == 0)
			return;
	if (strcasecmp(name, "content-length") == 0)
		r->declared = atoll(value);
	else if (latin1(value), *name && is_clean(name) && !strpbrk(name, " \t:") && is_clean(value))
		buf_fmt(fields, "%s: %s\r\n", name, value);
}

static void parse_headers(struct request *r, struct json *j, struct buf *fields)
{
	bool first = true;
	json_enter(j, '[');
	while (json_more(j, ']', &first)) {
		json_enter(j, '[');
		char *name = json_string(j);
		json_enter(j, ',');
		char *value = json_string(j);
		json_enter(j, ']');
		add_header(r, fields, name, value);
		free(name);
		free(value);
	}
}

static char **word_of(struct words *w, struct request *r, const char *key)
{
	return strcmp(key, "kind") == 0 ? &w->kind
	     : strcmp(key, "method") == 0 ? &w->method
	     : strcmp(key, "path") == 0 ? &w->path
	     : strcmp(key, "query") == 0 ? &w->query
	     : strcmp(key, "invocationId") == 0 ? &r->invocation : NULL;
}

static bool parse_object(struct request *r, struct json *j, struct words *w, struct buf *fields)
{
	bool first = true;
	json_enter(j, '{');
	while (json_more(j, '}', &first)) {
		char *key = json_key(j), **to = word_of(w, r, key);
		if (to && !*to)
			*to = json_string(j);
		else if (strcmp(key, "headers") == 0)
			parse_headers(r, j, fields);
		else
			json_skip(j, 0);
		free(key);
	}
	return !j->bad;
}

/* No byte of a word may end the request line or a field early. */
static bool is_whole(const struct request *r, const struct words *w)
{
	static const char blank[] = " \t\r\n";
	if (!w->kind || !r->invocation || !is_clean(r->invocation))
		return false;
	if (r->is_event)
		return true;
	return w->method && w->path && *w->path == '/' && !strpbrk(w->method, blank) && !strpbrk(w->path, blank) &&
	       (!w->query || !strpbrk(w->query, blank));
}

static void write_head(struct request *r, const struct words *w, const struct buf *fields)
{
	if (r->is_event)
		buf_str(&r->head, "POST / HTTP/1.1\r\nContent-Type: application/json\r\n");
	else
		buf_fmt(&r->head, "%s %s%s%s HTTP/1.1\r\n", w->method, w->path, w->query && *w->query ? "?" : "",
			w->query ? w->query : "");
	buf_fmt(&r->head, "Host: function\r\nConnection: close\r\nX-Wafer-Invocation: %s\r\n", r->invocation);
	buf_add(&r->head, buf_at(fields), fields->len);
}

static bool seldom_has_body(const char *method)
{
	return strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0;
}

bool request_parse(struct request *r, const char *json, size_t n)
{
	struct json j = {json, json + n, false};
	struct words w = {0};
	struct buf fields = {0};
	r->declared = -1;
	bool whole = parse_object(r, &j, &w, &fields);
	r->is_event = w.kind && strcmp(w.kind, "event") == 0;
	whole = whole && is_whole(r, &w);
	if (whole) {
		write_head(r, &w, &fields);
		r->is_head = !r->is_event && strcmp(w.method, "HEAD") == 0;
		r->may_wait = r->is_event || seldom_has_body(w.method);
	}
	buf_free(&fields);
	free(w.kind), free(w.method), free(w.path), free(w.query);
	return whole;
}

/* The body */

static void put_body(struct request *r, const char *bytes, size_t n)
{
	if (r->chunked)
		buf_fmt(&r->out, "%zx\r\n", n);
	buf_add(&r->out, bytes, n);
	if (r->chunked)
		buf_str(&r->out, "\r\n");
}

bool request_body(struct request *r, const char *bytes, size_t n)
{
	r->received += (long long)n;
	if (r->declared >= 0 && r->received > r->declared)
		return false;
	if (r->head_sent && !r->deaf)
		put_body(r, bytes, n);
	else if (!r->deaf)
		buf_add(&r->body, bytes, n);
	return true;
}

bool request_complete(struct request *r)
{
	r->complete = true;
	if (r->declared >= 0 && r->received < r->declared && r->head_sent)
		return false;
	if (r->head_sent && r->chunked && !r->deaf)
		buf_str(&r->out, "0\r\n\r\n");
	return true;
}

/* Writes how long the body is; false while that is still open and may become known. */
static bool put_length(struct request *r)
{
	bool waits = r->is_event ? r->body.len < COLLECT_MAX : r->may_wait && r->body.len == 0;
	if (r->complete && (r->body.len > 0 || !r->may_wait || r->is_event || r->declared >= 0))
		buf_fmt(&r->head, "Content-Length: %zu\r\n", r->body.len);
	else if (!r->complete && r->declared >= 0)
		buf_fmt(&r->head, "Content-Length: %lld\r\n", r->declared);
	else if (!r->complete && waits)
		return false;
	else if (!r->complete)
		buf_str(&r->head, "Transfer-Encoding: chunked\r\n"), r->chunked = true;
	return true;
}

void request_begin(struct request *r)
{
	if (r->head_sent || !put_length(r))
		return;
	buf_str(&r->head, "\r\n");
	buf_add(&r->out, buf_at(&r->head), r->head.len);
	if (r->body.len > 0)
		put_body(r, buf_at(&r->body), r->body.len);
	buf_free(&r->body);
	buf_free(&r->head);
	r->head_sent = true;
}

void request_stop(struct request *r)
{
	r->deaf = true;
	buf_free(&r->out);
}

void request_free(struct request *r)
{
	buf_free(&r->head);
	buf_free(&r->body);
	buf_free(&r->out);
	free(r->invocation);
	*r = (struct request){0};
}
