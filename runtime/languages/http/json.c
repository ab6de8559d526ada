/* A small JSON pull parser: the frames of the host are objects of known keys. */
#include "wafer-http.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

static int peek(struct json *j)
{
	while (j->at < j->end && strchr(" \t\r\n", *j->at) && *j->at)
		j->at++;
	if (j->at < j->end && !j->bad)
		return (unsigned char)*j->at;
	j->bad = true;
	return -1;
}

bool json_enter(struct json *j, char open)
{
	if (peek(j) != open)
		return j->bad = true, false;
	j->at++;
	return true;
}

/* Steps to the next item; false after the last, whose bracket is eaten. */
bool json_more(struct json *j, char close, bool *first)
{
	int c = peek(j);
	if (c == close) {
		j->at++;
		return false;
	}
	if (!*first) {
		if (c != ',')
			return j->bad = true, false;
		j->at++;
		peek(j);
	}
	*first = false;
	return !j->bad;
}

static int hex4(struct json *j)
{
	int value = 0;
	if (j->end - j->at < 4)
		return j->bad = true, 0;
	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdef", *found = NULL;
		int c = (unsigned char)*j->at++;
		if (c)
			found = strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
		if (!found)
			return j->bad = true, 0;
		value = value * 16 + (int)(found - digits);
	}
	return value;
}

static void put_utf8(struct buf *b, unsigned code)
{
	char out[4];
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(n == 1 ? code : (0xf00u >> n & 0xf0u) | code);
	buf_add(b, out, n);
}

static void put_escape(struct json *j, struct buf *b)
{
	const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t", *found;
	int c = j->at < j->end ? *j->at++ : 0;
	if (c == 'u') {
		unsigned code = (unsigned)hex4(j);
		if (code >= 0xd800 && code < 0xdc00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u') {
			j->at += 2;
			unsigned low = (unsigned)hex4(j);
			code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
		} else if (code >= 0xd800 && code < 0xe000) {
			code = 0xfffd;
		}
		if (code == 0)
			j->bad = true;
		put_utf8(b, code);
	} else if (c && (found = strchr(from, c))) {
		buf_add(b, to + (found - from), 1);
	} else {
		j->bad = true;
	}
}

/* Heap text without a NUL inside; never NULL, empty when the input is bad. */
char *json_string(struct json *j)
{
	struct buf b = {0};
	if (json_enter(j, '"')) {
		while (j->at < j->end && *j->at != '"' && !j->bad) {
			if (*j->at == '\0')
				j->bad = true;
			if (*j->at == '\\')
				j->at++, put_escape(j, &b);
			else
				buf_add(&b, j->at++, 1);
		}
		if (j->at < j->end)
			j->at++;
		else
			j->bad = true;
	}
	buf_add(&b, "", 1);
	return b.data;
}

char *json_key(struct json *j)
{
	char *key = json_string(j);
	json_enter(j, ':');
	return key;
}

long long json_integer(struct json *j)
{
	peek(j);
	char text[32];
	size_t n = 0;
	while (j->at < j->end && *j->at && strchr("+-.eE0123456789", *j->at)) {
		if (n + 1 < sizeof text)
			text[n++] = *j->at;
		j->at++;
	}
	text[n] = '\0';
	if (n == 0)
		j->bad = true;
	return strtoll(text, NULL, 10);
}

void json_skip(struct json *j, int depth)
{
	bool first = true;
	int c = peek(j);
	if (depth > MAX_DEPTH) {
		j->bad = true;
	} else if (c == '"') {
		free(json_string(j));
	} else if (c == '{' || c == '[') {
		j->at++;
		while (json_more(j, c == '{' ? '}' : ']', &first)) {
			if (c == '{')
				free(json_key(j));
			json_skip(j, depth + 1);
		}
	} else {
		const char *before = j->at;
		while (j->at < j->end && *j->at && !strchr(",]} \t\r\n", *j->at))
			j->at++;
		j->bad |= j->at == before;
	}
}

/* Length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	size_t need = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
	if (need > n)
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return need;
}

/* A JSON string: header bytes as Latin-1, or text whose broken UTF-8 is replaced. */
void json_put(struct buf *b, const char *bytes, size_t n, bool latin1)
{
	const unsigned char *p = (const unsigned char *)bytes, *end = p + n;
	buf_str(b, "\"");
	while (p < end) {
		size_t size = utf8_length(p, (size_t)(end - p));
		if (*p == '"' || *p == '\\' || *p < 0x20 || (latin1 && *p >= 0x80))
			buf_fmt(b, "\\u%04x", *p++);
		else if (size == 0)
			buf_str(b, "\\ufffd"), p++;
		else
			buf_add(b, p, size), p += size;
	}
	buf_str(b, "\"");
}
