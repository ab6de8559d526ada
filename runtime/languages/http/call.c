/* One call: its connection to the server, the request that goes out, the answer that comes in. */
#include "wafer-http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct call {
	struct source source;         /* first: epoll gives it back */
	struct call *next;
	uint32_t number, watched;
	const struct settings *settings;
	int fd;
	/* The connection broke: why, and since when. Whether the server is gone shows a moment later. */
	const char *broken;
	long long broken_at;
	bool is_event, may_wait, head_sent, chunked, complete, deaf, answered, refused, dead;
	char *invocation;
	struct buf head;              /* request line and fields, without the ones about the body */
	long long declared;           /* content-length of the request, or -1 */
	long long received, sent;
	struct buf body;              /* request body until the head is sent */
	struct buf out;               /* for the server */
	size_t unacknowledged;        /* request body bytes in `body` and `out` */
	size_t window;                /* answer bytes that the host takes now */
	struct buf error_text;
	struct response response;
};

static struct call *calls;

/* How long a broken connection may wait for the end of the server to be seen. */
enum { BROKEN_MS = 50 };

static void on_ready(struct source *source, uint32_t events);

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Ends */

static void end_call(struct call *c)
{
	c->dead = true;
	if (c->fd >= 0) {
		watch(c->fd, &c->source, &c->watched, 0);
		close(c->fd);
	}
	c->fd = -1;
}

static void fail(struct call *c, const char *code, const char *what, const char *text, size_t n)
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

/* A server that exits closes its connections first. If it does, the host has to see a crash and
 * not an error of the function, so the failure waits for that moment. */
static void fail_broken(struct call *c, const char *what)
{
	c->broken = what;
	c->broken_at = now_ms();
	watch(c->fd, &c->source, &c->watched, 0);
}

static void fail_server(struct call *c, const char *what)
{
	fail(c, "function_error", "The server ", what, strlen(what));
}

static void fail_status(struct call *c)
{
	struct buf what = {0};
	buf_fmt(&what, "The server answered with status %d: ", c->response.status);
	buf_add(&what, "", 1);
	fail(c, "function_error", buf_at(&what), buf_at(&c->error_text), c->error_text.len);
	buf_free(&what);
}

void calls_sweep(void)
{
	for (struct call **at = &calls; *at;) {
		struct call *c = *at;
		if (!c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		buf_free(&c->head);
		buf_free(&c->body);
		buf_free(&c->out);
		buf_free(&c->error_text);
		response_free(&c->response);
		free(c->invocation);
		free(c);
	}
}

/* Until when calls_advance() has to be called again, in ms; -1: no need. */
int calls_timeout(void)
{
	for (struct call *c = calls; c; c = c->next)
		if (c->broken && !c->dead)
			return BROKEN_MS / 4;
	return -1;
}

bool calls_empty(void)
{
	return calls == NULL;
}

struct call *call_find(uint32_t number)
{
	for (struct call *c = calls; c; c = c->next)
		if (c->number == number && !c->dead)
			return c;
	return NULL;
}

/* The request */

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

static void add_header(struct call *c, const char *name, char *value)
{
	static const char *const DROPPED[] = {"host", "connection", "keep-alive", "proxy-connection", "te", "trailer",
					      "transfer-encoding", "upgrade", "expect", "x-wafer-invocation"};
	for (size_t i = 0; i < sizeof DROPPED / sizeof *DROPPED; i++)
		if (strcasecmp(name, DROPPED[i]) == 0)
			return;
	if (strcasecmp(name, "content-length") == 0)
		c->declared = atoll(value);
	else if (latin1(value), *name && is_clean(name) && !strpbrk(name, " \t:") && is_clean(value))
		buf_fmt(&c->head, "%s: %s\r\n", name, value);
}

static void parse_headers(struct call *c, struct json *j)
{
	bool first = true;
	json_enter(j, '[');
	while (json_more(j, ']', &first)) {
		json_enter(j, '[');
		char *name = json_string(j);
		json_enter(j, ',');
		char *value = json_string(j);
		json_enter(j, ']');
		add_header(c, name, value);
		free(name);
		free(value);
	}
}

static bool parse_call(struct call *c, const char *json, size_t n)
{
	struct json j = {json, json + n, false};
	struct buf line = {0}, fields = {0};
	char *kind = NULL, *method = NULL, *path = NULL, *query = NULL;
	bool first = true;
	json_enter(&j, '{');
	while (json_more(&j, '}', &first)) {
		char *key = json_key(&j);
		char **to = strcmp(key, "kind") == 0 ? &kind : strcmp(key, "method") == 0 ? &method
			  : strcmp(key, "path") == 0 ? &path : strcmp(key, "query") == 0 ? &query
			  : strcmp(key, "invocationId") == 0 ? &c->invocation : NULL;
		if (to && !*to)
			*to = json_string(&j);
		else if (strcmp(key, "headers") == 0)
			parse_headers(c, &j);
		else
			json_skip(&j, 0);
		free(key);
	}
	c->is_event = kind && strcmp(kind, "event") == 0;
	bool whole = !j.bad && kind && c->invocation && is_clean(c->invocation) && (c->is_event || (method && path));
	fields = c->head;
	if (whole && c->is_event)
		buf_str(&line, "POST / HTTP/1.1\r\nContent-Type: application/json\r\n");
	else if (whole)
		buf_fmt(&line, "%s %s%s%s HTTP/1.1\r\n", method, path, query && *query ? "?" : "", query ? query : "");
	if (whole && !c->is_event)
		whole = !strpbrk(method, " \t\r\n") && *path == '/' && !strpbrk(path, " \t\r\n") && (!query || !strpbrk(query, " \t\r\n"));
	if (whole) {
		buf_fmt(&line, "Host: function\r\nConnection: close\r\nX-Wafer-Invocation: %s\r\n", c->invocation);
		buf_add(&line, buf_at(&fields), fields.len);
		c->response.bodyless = !c->is_event && strcmp(method, "HEAD") == 0;
		c->may_wait = c->is_event || !(strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0);
	}
	c->head = line;
	buf_free(&fields);
	free(kind), free(method), free(path), free(query);
	return whole;
}

/* False when the payload is not what CALL must be. */
bool call_open(uint32_t number, const struct settings *s, const char *json, size_t n)
{
	struct call *c = xmalloc(sizeof *c);
	bool pending;
	c->source.ready = on_ready;
	c->number = number;
	c->settings = s;
	c->declared = -1;
	c->window = WINDOW;
	c->fd = -1;
	c->next = calls;
	calls = c;
	if (!parse_call(c, json, n))
		return false;
	c->fd = port_connect(s->port, &pending);
	if (c->fd < 0)
		fail_broken(c, "closed the connection: nothing listens on its port any more.");
	return true;
}

static void put_body(struct call *c, const char *bytes, size_t n)
{
	if (c->chunked)
		buf_fmt(&c->out, "%zx\r\n", n);
	buf_add(&c->out, bytes, n);
	if (c->chunked)
		buf_str(&c->out, "\r\n");
}

/* Decides how long the request is, as soon as that can be known, and lets it go. */
static void begin_request(struct call *c)
{
	if (c->head_sent)
		return;
	bool waits = c->is_event ? c->body.len < COLLECT_MAX : c->may_wait && c->body.len == 0;
	if (c->complete && (c->body.len > 0 || !c->may_wait || c->is_event || c->declared >= 0))
		buf_fmt(&c->head, "Content-Length: %zu\r\n", c->body.len);
	else if (!c->complete && c->declared >= 0)
		buf_fmt(&c->head, "Content-Length: %lld\r\n", c->declared);
	else if (!c->complete && waits)
		return;
	else if (!c->complete)
		buf_str(&c->head, "Transfer-Encoding: chunked\r\n"), c->chunked = true;
	buf_str(&c->head, "\r\n");
	buf_add(&c->out, buf_at(&c->head), c->head.len);
	if (c->body.len > 0)
		put_body(c, buf_at(&c->body), c->body.len);
	buf_free(&c->body);
	buf_free(&c->head);
	c->head_sent = true;
}

static void acknowledge(struct call *c)
{
	unsigned char credit[4] = {(unsigned char)(c->unacknowledged >> 24), (unsigned char)(c->unacknowledged >> 16),
				   (unsigned char)(c->unacknowledged >> 8), (unsigned char)c->unacknowledged};
	if (c->unacknowledged < CREDIT_PIECE || c->complete || c->dead)
		return;
	control_send(H_CREDIT, c->number, credit, sizeof credit);
	c->unacknowledged = 0;
}

void call_body(struct call *c, const char *bytes, size_t n)
{
	c->received += (long long)n;
	c->unacknowledged += n;
	if (c->declared >= 0 && c->received > c->declared)
		fail(c, "protocol_error", "The request body is longer than its content-length.", "", 0);
	else if (c->deaf)
		acknowledge(c);
	else if (c->head_sent)
		put_body(c, bytes, n);
	else
		buf_add(&c->body, bytes, n);
	if (c->is_event && !c->head_sent)
		acknowledge(c);
}

void call_complete(struct call *c)
{
	c->complete = true;
	if (c->declared >= 0 && c->received < c->declared && c->head_sent)
		fail(c, "protocol_error", "The request body is shorter than its content-length.", "", 0);
	else if (c->head_sent && c->chunked && !c->deaf)
		buf_str(&c->out, "0\r\n\r\n");
}

void call_cancel(struct call *c)
{
	fail(c, "function_error", "The call was cancelled.", "", 0);
}

void call_credit(struct call *c, uint32_t bytes)
{
	c->window += bytes;
}

/* A server may answer and close without reading: what it left unread is dropped, its answer is not. */
static void stop_sending(struct call *c)
{
	c->deaf = true;
	buf_free(&c->out);
	acknowledge(c);
}

static void send_out(struct call *c)
{
	while (c->out.len > 0 && !c->dead) {
		ssize_t n = send(c->fd, buf_at(&c->out), c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return;
		if (n < 0) {
			stop_sending(c);
			return;
		}
		buf_take(&c->out, (size_t)n);
	}
	if (c->head_sent)
		acknowledge(c);
}

/* The answer */

const char *call_on_head(struct call *c)
{
	struct response *r = &c->response;
	struct buf json = {0};
	if (c->is_event && (r->status < 200 || r->status > 299)) {
		c->refused = true;
		return NULL;
	}
	if (c->is_event && r->part == P_LENGTH && r->left > c->settings->max_result) {
		buf_fmt(&json, "%lld bytes; the limit is %lld.", r->left, c->settings->max_result);
		fail(c, "result_too_large", "The result has ", buf_at(&json), json.len);
		buf_free(&json);
		return NULL;
	}
	if (c->is_event) {
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
	return NULL;
}

const char *call_on_body(struct call *c, const char *bytes, size_t n)
{
	if (c->dead)
		return NULL;
	if (c->refused) {
		size_t room = ERROR_TEXT_MAX - c->error_text.len;
		buf_add(&c->error_text, bytes, n < room ? n : room);
		if (c->error_text.len == ERROR_TEXT_MAX)
			fail_status(c);
		return NULL;
	}
	c->sent += (long long)n;
	if (c->is_event && c->sent > c->settings->max_result) {
		struct buf text = {0};
		buf_fmt(&text, "%lld bytes, which is the limit.", c->settings->max_result);
		fail(c, "result_too_large", "The result has more than ", buf_at(&text), text.len);
		buf_free(&text);
		return NULL;
	}
	c->window -= n;
	for (size_t piece; n > 0; bytes += piece, n -= piece) {
		piece = n < BODY_PIECE ? n : BODY_PIECE;
		control_send(H_BODY, c->number, bytes, piece);
	}
	return NULL;
}

static void finish(struct call *c)
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

static void on_closed(struct call *c, int error)
{
	if (error == 0 && response_close(&c->response))
		finish(c);
	else if (c->answered)
		fail_broken(c, "closed the connection before its answer was complete.");
	else if (error == ECONNREFUSED)
		fail_broken(c, "closed the connection: nothing listens on its port any more.");
	else
		fail_broken(c, "closed the connection without an answer.");
}

/* Reads once; false when there was nothing, or the call is over. Never takes more than the host's window. */
static bool read_answer(struct call *c)
{
	static char bytes[BODY_PIECE];
	size_t room = c->window < sizeof bytes ? c->window : sizeof bytes;
	if (room == 0 || c->dead || c->broken)
		return false;
	ssize_t n = recv(c->fd, bytes, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
		return false;
	if (n <= 0) {
		on_closed(c, n < 0 ? errno : 0);
		return false;
	}
	const char *wrong = response_feed(&c->response, c, bytes, (size_t)n);
	if (wrong && !c->dead)
		fail_server(c, wrong);
	else if (c->response.part == P_DONE)
		finish(c);
	return !c->dead && !c->broken;
}

static void on_ready(struct source *source, uint32_t events)
{
	struct call *c = (struct call *)source;
	if (c->dead || c->broken)
		return;
	if (events & EPOLLOUT)
		send_out(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		read_answer(c);
}

/* After a batch of frames and events: let requests go, and watch for what each call can do now. */
void calls_advance(void)
{
	bool host_is_slow = control_pending() > CONTROL_HIGH;
	for (struct call *c = calls; c; c = c->next) {
		if (c->broken && !c->dead && now_ms() - c->broken_at >= BROKEN_MS)
			fail_server(c, c->broken);
		if (c->broken || c->dead)
			continue;
		begin_request(c);
		if (c->out.len > 0 && !(c->watched & EPOLLOUT))
			send_out(c);
		uint32_t wanted = c->out.len > 0 ? EPOLLOUT : 0;
		if (c->head_sent && c->window > 0 && !host_is_slow)
			wanted |= EPOLLIN;
		if (!c->dead)
			watch(c->fd, &c->source, &c->watched, wanted);
	}
}

/* The server is gone; what it had sent before still counts. */
void calls_last_words(void)
{
	for (struct call *c = calls; c; c = c->next)
		while (!c->dead && c->response.part != P_DONE && read_answer(c))
			;
}
