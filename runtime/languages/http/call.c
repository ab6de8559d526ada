/*
 * One call: a connection to the server that carries the request out (request.c) and brings
 * the answer in (response.c, answer.c), each as far as the windows of the protocol allow.
 */
#include "wafer-http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long a broken connection may wait for the end of the server to be seen. */
enum { BROKEN_MS = 50 };

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
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
	answer_fail(c, "function_error", "The server ", what, strlen(what));
}

/* The request */

/* Nothing is acknowledged once END is here: the host sends no more. */
static void acknowledge(struct call *c)
{
	if (c->unacknowledged < CREDIT_PIECE || c->request.complete || c->dead)
		return;
	control_credit(c->number, c->unacknowledged);
	c->unacknowledged = 0;
}

void call_body(struct call *c, const char *bytes, size_t n)
{
	struct request *r = &c->request;
	c->unacknowledged += n;
	if (!request_body(r, bytes, n))
		answer_fail(c, "protocol_error", "The request body is longer than its content-length.", "", 0);
	else if (r->deaf || (r->is_event && !r->head_sent))
		acknowledge(c);
}

void call_complete(struct call *c)
{
	if (!request_complete(&c->request))
		answer_fail(c, "protocol_error", "The request body is shorter than its content-length.", "", 0);
}

void call_cancel(struct call *c)
{
	answer_fail(c, "function_error", "The call was cancelled.", "", 0);
}

void call_credit(struct call *c, uint32_t bytes)
{
	c->window += bytes;
}

static void send_out(struct call *c)
{
	struct buf *out = &c->request.out;
	while (out->len > 0 && !c->dead) {
		ssize_t n = send(c->fd, buf_at(out), out->len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return;
		if (n < 0) {
			/* A server may answer and close without reading: what it left unread is dropped, its answer is not. */
			request_stop(&c->request);
			acknowledge(c);
			return;
		}
		buf_take(out, (size_t)n);
	}
	if (c->request.head_sent)
		acknowledge(c);
}

/* The answer */

static void on_closed(struct call *c, int error)
{
	if (error == 0 && response_close(&c->response))
		answer_end(c);
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
	const char *wrong = response_feed(&c->response, bytes, (size_t)n);
	if (wrong && !c->dead)
		fail_server(c, wrong);
	else if (c->response.part == P_DONE)
		answer_end(c);
	return !c->dead && !c->broken;
}

/* Its life */

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

struct call *call_new(uint32_t number, const struct settings *s, const char *json, size_t n)
{
	struct call *c = xmalloc(sizeof *c);
	bool pending;
	c->source.ready = on_ready;
	c->number = number;
	c->settings = s;
	c->window = WINDOW;
	c->fd = -1;
	c->response.sink = &answer_sink;
	c->response.owner = c;
	if (!request_parse(&c->request, json, n)) {
		call_free(c);
		return NULL;
	}
	c->response.bodyless = c->request.is_head;
	c->fd = port_connect(s->port, &pending);
	if (c->fd < 0)
		fail_broken(c, "closed the connection: nothing listens on its port any more.");
	return c;
}

int call_timeout(const struct call *c)
{
	return c->broken && !c->dead ? BROKEN_MS / 4 : -1;
}

void call_advance(struct call *c, bool host_is_slow)
{
	struct request *r = &c->request;
	if (c->broken && !c->dead && now_ms() - c->broken_at >= BROKEN_MS)
		fail_server(c, c->broken);
	if (c->broken || c->dead)
		return;
	request_begin(r);
	if (r->out.len > 0 && !(c->watched & EPOLLOUT))
		send_out(c);
	uint32_t wanted = r->out.len > 0 ? EPOLLOUT : 0;
	if (r->head_sent && c->window > 0 && !host_is_slow)
		wanted |= EPOLLIN;
	if (!c->dead)
		watch(c->fd, &c->source, &c->watched, wanted);
}

void call_last_words(struct call *c)
{
	while (!c->dead && c->response.part != P_DONE && read_answer(c))
		;
}

void call_free(struct call *c)
{
	request_free(&c->request);
	response_free(&c->response);
	buf_free(&c->error_text);
	free(c);
}
