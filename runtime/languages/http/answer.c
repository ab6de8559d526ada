/* What the host is told of a call: RESULT and BODY as the server answers, then END or one ERROR. */
#include "wafer-http.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The end */

static void end_call(struct call *c)
{
	c->dead = true;
	if (c->fd >= 0) {
		watch(c->fd, &c->source, &c->watched, 0);
		close(c->fd);
	}
	c->fd = -1;
}

void answer_fail(struct call *c, const char *code, const char *what, const char *text, size_t n)
{
	struct buf message = {0}, json = {0};
	buf_str(&message, what);
	buf_add(&message, text, n);
	buf_fmt(&json, "{\"code\":\"%s\",\"message\":", code);
	json_put(&json, buf_at(&message), message.len, false);
	buf_str(&json, "}");
	control_send(H_ERROR, c->number, buf_at(&json), json.len);
	buf_free(&json);
	buf_free(&message);
	end_call(c);
}

static void fail_status(struct call *c)
{
	struct buf what = {0};
	buf_fmt(&what, "The server answered with status %d: ", c->response.status);
	buf_add(&what, "", 1);
	answer_fail(c, "function_error", buf_at(&what), buf_at(&c->error_text), c->error_text.len);
	buf_free(&what);
}

void answer_end(struct call *c)
{
	if (c->dead)
		return;
	if (c->refused) {
		fail_status(c);
		return;
	}
	control_send(H_END, c->number, NULL, 0);
	end_call(c);
}

/* The answer as it comes */

static void fail_size(struct call *c, const char *what, const char *format, ...) PRINTF_LIKE(3, 4);
static void fail_size(struct call *c, const char *what, const char *format, ...)
{
	char text[128];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	answer_fail(c, "result_too_large", what, text, strlen(text));
}

static void send_result(struct call *c)
{
	struct response *r = &c->response;
	struct buf json = {0};
	if (c->request.is_event) {
		const char *type = r->content_type ? r->content_type : "application/octet-stream";
		buf_str(&json, "{\"kind\":\"value\",\"contentType\":");
		json_put(&json, type, strlen(type), true);
	} else {
		buf_fmt(&json, "{\"kind\":\"http\",\"status\":%d,\"headers\":", r->status);
		buf_add(&json, buf_at(&r->headers), r->headers.len);
	}
	buf_str(&json, "}");
	control_send(H_RESULT, c->number, buf_at(&json), json.len);
	buf_free(&json);
	c->answered = true;
}

static void on_head(void *owner)
{
	struct call *c = owner;
	struct response *r = &c->response;
	bool is_event = c->request.is_event;
	long long limit = c->settings->max_result;
	if (is_event && (r->status < 200 || r->status > 299))
		c->refused = true;
	else if (is_event && r->part == P_LENGTH && r->left > limit)
		fail_size(c, "The result has ", "%lld bytes; the limit is %lld.", r->left, limit);
	else
		send_result(c);
}

static void keep_error_text(struct call *c, const char *bytes, size_t n)
{
	size_t room = ERROR_TEXT_MAX - c->error_text.len;
	buf_add(&c->error_text, bytes, n < room ? n : room);
	if (c->error_text.len == ERROR_TEXT_MAX)
		fail_status(c);
}

static void on_body(void *owner, const char *bytes, size_t n)
{
	struct call *c = owner;
	long long limit = c->settings->max_result;
	if (c->dead)
		return;
	if (c->refused) {
		keep_error_text(c, bytes, n);
		return;
	}
	c->sent += (long long)n;
	if (c->request.is_event && c->sent > limit) {
		fail_size(c, "The result has more than ", "%lld bytes, which is the limit.", limit);
		return;
	}
	c->window -= n;
	for (size_t piece; n > 0; bytes += piece, n -= piece) {
		piece = n < BODY_PIECE ? n : BODY_PIECE;
		control_send(H_BODY, c->number, bytes, piece);
	}
}

const struct response_sink answer_sink = {on_head, on_body};
