/* The loop: one epoll, the worker's connection, and the dispatch of its requests. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine.h"
#include "mounts.h"
#include "zygote.h"

#define TICK_MS 50

int loop_watch(struct engine *engine, struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };
	return epoll_ctl(engine->epoll, EPOLL_CTL_ADD, source->fd, &event);
}

void loop_unwatch(struct engine *engine, struct source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(engine->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	close_fd(&source->fd);
}

/* The worker is gone, or talks nonsense: everything dies with us (parent-death signals). */
static _Noreturn void leave(struct engine *engine, int status)
{
	sandboxes_let_die(engine);
	limits_end(&engine->limits);
	root_leave();
	exit(status);
}

void loop_flush(struct engine *engine)
{
	struct buffer *out = &engine->out;
	while (out->start < out->length) {
		ssize_t sent = send(engine->control, out->data + out->start, out->length - out->start,
		                    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			leave(engine, 0);
		out->start += (size_t)sent;
	}
	/* Ask for room only while something waits. */
	uint32_t wanted = EPOLLIN | (out->start < out->length ? EPOLLOUT : 0);
	if (wanted != engine->control_events) {
		struct epoll_event event = { .events = wanted, .data.ptr = &engine->control_source };
		epoll_ctl(engine->epoll, EPOLL_CTL_MOD, engine->control, &event);
		engine->control_events = wanted;
	}
}

int connect_stream(const struct engine *engine, const char *token)
{
	char line[256];
	int length = snprintf(line, sizeof(line), "wafer1 %s\n", token);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fault("connect", "socket");
	/* Never waits: a full backlog (EAGAIN) is the worker's trouble, not a reason to stand still. */
	if (connect(fd, (const struct sockaddr *)&engine->host, sizeof(engine->host)) ||
	    send(fd, line, (size_t)length, MSG_NOSIGNAL) != length) {
		fault("connect", "the worker's socket");
		close(fd);
		return -1;
	}
	int flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	return fd;
}

void reply_ok(struct engine *engine, uint32_t id)
{
	size_t begin = frame_begin(&engine->out, id);
	frame_field(&engine->out, "ok", "1");
	frame_end(&engine->out, begin);
}

void reply_fault(struct engine *engine, uint32_t id, const char *code)
{
	size_t begin = frame_begin(&engine->out, id);
	frame_field(&engine->out, "error", "%s", code);
	frame_field(&engine->out, "step", "%s", last_fault.step);
	frame_field(&engine->out, "message", "%s", last_fault.message);
	frame_end(&engine->out, begin);
}

static void dispatch(struct engine *engine, struct message *message)
{
	const char *op = message_valid(message) ? message_get(message, "op") : NULL;
	if (op && !strcmp(op, "create")) {
		sandbox_create(engine, message);
		return;
	}
	static const struct {
		const char *name;
		void (*handle)(struct engine *, const struct message *);
	} operations[] = {
		{ "exec", sandbox_exec },   { "signal", sandbox_signal },   { "stats", sandbox_stats },
		{ "unpack", job_unpack },   { "pack", job_pack },           { "remove", job_remove },
		{ "list", job_list },       { "measure", job_measure },     { "destroy", sandbox_destroy },
		{ "resize", sandbox_resize }, { "adopt", job_adopt },
		{ "freeze", sandbox_freeze }, { "thaw", sandbox_thaw },    { "connect", sandbox_connect },
		{ "processes", job_processes }, { "read-files", job_read_files },
		{ "write-files", job_write_files }, { "attach", sandbox_attach },
		{ "mount", sandbox_mount },
		{ "make-volume", volume_make },  { "seal-volume", job_seal },
		{ "copy-volume", job_copy },     { "list-volume", job_list_volume },
		{ "read-part", job_read_part },  { "read-volume", job_read_volume },
		{ "write-volume", job_write_volume },
		{ "zygote", zygote_start },  { "end-zygote", zygote_end },
	};
	for (size_t i = 0; op && i < ARRAY_LENGTH(operations); i++)
		if (!strcmp(op, operations[i].name)) {
			operations[i].handle(engine, message);
			return;
		}
	refuse("request", op ? "op %.32s is not known" : "the body is not a list of key=value%s",
	       op ? op : "");
	reply_fault(engine, message->id, "bad_request");
}

static void control_ready(struct engine *engine, struct source *source)
{
	/* Not on the stack: all of its pages there would be touched, and copied after each clone. */
	static char data[65536];
	struct message message;
	int taken;
	ssize_t got = recv(source->fd, data, sizeof(data), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		leave(engine, 0);
	buffer_add(&engine->in, data, (size_t)got);
	explicit_bzero(data, (size_t)got); /* see frame.c */
	while ((taken = frame_take(&engine->in, &message)) > 0) {
		dispatch(engine, &message);
		message_free(&message);
	}
	if (taken < 0) {
		fprintf(stderr, "wafer-engine: a frame is longer than %d bytes\n", FRAME_MAX);
		leave(engine, 1);
	}
}

static bool has_background(const struct engine *engine)
{
	return net_stock_has_work(engine) || limits_has_work(&engine->limits);
}

static void do_background(struct engine *engine)
{
	if (net_stock_has_work(engine))
		net_stock_work(engine);
	else
		limits_work(&engine->limits);
}

_Noreturn void loop_run(struct engine *engine)
{
	engine->control_source = (struct source){ engine->control, control_ready };
	engine->control_events = EPOLLIN;
	if (loop_watch(engine, &engine->control_source)) {
		perror("wafer-engine: epoll");
		leave(engine, 1);
	}
	for (uint64_t ticked = 0;;) {
		struct epoll_event event;
		loop_flush(engine);
		/* What is made ahead, or tidied up behind, never comes before what somebody waits for. */
		bool has_work = has_background(engine);
		bool wants_ticks = sandbox_wants_ticks(engine) || limits_wants_ticks(&engine->limits);
		/* One at a time: handling one may free the source of another. */
		int count = epoll_wait(engine->epoll, &event, 1,
		                       has_work      ? 0
		                       : wants_ticks ? TICK_MS
		                                     : -1);
		if (count > 0) {
			struct source *source = event.data.ptr;
			source->ready(engine, source);
		} else if (has_work) {
			do_background(engine);
		}
		if (now_us() - ticked >= TICK_MS * 1000) {
			sandbox_tick(engine);
			limits_tick(&engine->limits);
			ticked = now_us();
		}
	}
}
