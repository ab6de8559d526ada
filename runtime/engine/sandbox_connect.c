/*
 * Connections into a sandbox. Pid 1 makes the socket, in the sandbox's network; here it
 * is waited for, without standing still; then the relay gets it together with a
 * connection to the worker and carries the bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jobs.h"
#include "sandbox.h"

#define PATIENCE_US (10 * 1000000ULL)

struct dialing {
	struct dialing *next;
	struct source source;
	struct sandbox *sandbox;
	uint32_t request;
	uint64_t began;
	char token[NAME_LENGTH + 1];
};

void sandbox_connect(struct engine *engine, const struct message *message)
{
	struct command command = { .type = COMMAND_CONNECT };
	const char *token = message_get(message, "data");
	uint64_t port = 0;
	struct sandbox *sandbox = sandbox_find_awake(engine, message);
	if (!sandbox)
		return;
	if (number_parse(message, "port", &port) || port < 1 || port > UINT16_MAX || !token ||
	    !valid_name(token)) {
		refuse("request", "port is not a number from 1 to 65535, or data is no token");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	command.port = (uint16_t)port;
	command.number = sandbox->asked + 1;
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), NULL, 0)) {
		fault("connect", "init does not listen");
		reply_fault(engine, message->id, "connect_failed");
		return;
	}
	pending_add(sandbox, ASKED_CONNECT, message->id, token);
}

static void end_dialing(struct engine *engine, struct dialing *dialing)
{
	struct dialing **link = &dialing->sandbox->dialing;
	while (*link != dialing)
		link = &(*link)->next;
	*link = dialing->next;
	loop_unwatch(engine, &dialing->source);
	free(dialing);
}

static void fail(struct engine *engine, struct dialing *dialing)
{
	reply_fault(engine, dialing->request, "connect_failed");
	end_dialing(engine, dialing);
}

static void connected(struct engine *engine, struct source *source)
{
	struct dialing *dialing = owner_of(source, struct dialing, source);
	int error = 0;
	socklen_t size = sizeof(error);
	if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (error) {
		errno = error;
		fault("connect", "the port in sandbox %s", dialing->sandbox->id);
		fail(engine, dialing);
		return;
	}
	cleanup_fd int host = connect_stream(engine, dialing->token);
	int bad = host < 0 ? -1 : 0;
	if (!bad && relay_send_pair(engine->relay, dialing->sandbox->id, source->fd, host))
		bad = fault("connect", "relay");
	if (bad) {
		fail(engine, dialing);
		return;
	}
	dialing->sandbox->relayed = true;
	reply_ok(engine, dialing->request);
	end_dialing(engine, dialing);
}

void connect_wait(struct engine *engine, struct sandbox *sandbox, const struct pending *pending,
                  int fd)
{
	struct dialing *dialing = need_memory(sizeof(*dialing));
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = &dialing->source };
	dialing->source = (struct source){ fcntl(fd, F_DUPFD_CLOEXEC, 0), connected };
	dialing->sandbox = sandbox;
	dialing->request = pending->request;
	dialing->began = now_us();
	snprintf(dialing->token, sizeof(dialing->token), "%s", pending->name);
	dialing->next = sandbox->dialing;
	sandbox->dialing = dialing;
	sandbox_needs_ticks(engine, sandbox);
	if (dialing->source.fd < 0 ||
	    epoll_ctl(engine->epoll, EPOLL_CTL_ADD, dialing->source.fd, &event)) {
		fault("connect", "sandbox %s", sandbox->id);
		fail(engine, dialing);
	}
}

void connect_tick(struct engine *engine, struct sandbox *sandbox)
{
	struct dialing *next;
	for (struct dialing *dialing = sandbox->dialing; dialing; dialing = next) {
		next = dialing->next;
		if (now_us() - dialing->began < PATIENCE_US)
			continue;
		refuse("connect", "the port in sandbox %s: nobody answers", sandbox->id);
		fail(engine, dialing);
	}
}

void connect_free(struct engine *engine, struct sandbox *sandbox)
{
	while (sandbox->dialing) {
		refuse("connect", "the sandbox ended");
		fail(engine, sandbox->dialing);
	}
}
