/*
 * The egress relay: one process for all sandboxes with egress.
 *
 *   sandbox net namespace                  relay                      worker
 *   connect(203.0.113.7:443)  --redirect->  listener (its fd is here)
 *                                           SO_ORIGINAL_DST
 *                                           connect(host socket)  -->  "wafer1 egress ID tcp 203.0.113.7 443\n"
 *                              <- bytes ->                        <->   policy, look-up, the real connection
 *   UDP to port 53            --redirect->  udp socket
 *                                           one connection per sandbox  "wafer1 egress ID dns\n", framed
 *
 * The engine makes the sockets inside the sandbox's net namespace and hands them
 * over by SCM_RIGHTS; the relay never enters it. It decides nothing: no policy, no
 * names. It has no capability, can not be traced, and dies with the engine (end
 * of `sock`, or the parent-death signal).
 *
 * A half-close is passed on as one. A full close by the host that was not preceded
 * by a half-close is an abort, and the client sees a reset: that is how "denied",
 * "refused" and "the peer reset" arrive in the sandbox.
 *
 *   relay.c              the process: limits, the loop, what the engine says
 *   |- relay_message.c   the engine's messages, sending and receiving side
 *   `- relay_box.c       a sandbox: its sockets
 *      |- relay_conn.c   TCP  -.
 *      `- relay_dns.c    UDP  -+- relay_flow.c   bytes that wait for a slow side
 *                              `- relay_hub.c    epoll set, the way to the host
 *
 * Calls go downward only. Events come up by the function that a source was given;
 * failures by return value, and relay.c alone ends the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jail.h"
#include "jobs.h"
#include "relay_box.h"
#include "relay_message.h"

enum { EVENTS_MAX = 64, RETRY_MS = 20, RESERVED_FDS = 64, FDS_PER_CONN = 2 };

__attribute__((format(printf, 1, 2), noreturn)) static void fatal(const char *format, ...) {
	va_list args;

	fputs("wafer-relay: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

static void control_ready(struct source *source, uint32_t events) {
	struct incoming in;

	(void)events;
	switch (message_receive(source->fd, &in)) {
	case RECEIVED_NOTHING:
		return;
	case RECEIVED_END:
		_exit(0); /* the engine is gone */
	case RECEIVED_MALFORMED:
		fatal("a malformed message from the engine (%zd bytes, kind %u, %d descriptors)", in.size, in.message.kind,
		      in.n_fds);
	case RECEIVED_MESSAGE:
		break;
	}
	if (in.message.kind == MESSAGE_FORGET)
		box_forget(source->owner, in.message.id);
	else if (in.message.kind == MESSAGE_PAIR)
		box_pair(source->owner, &in);
	else if (box_add(source->owner, &in) != 0)
		fprintf(stderr, "wafer-relay: cannot watch the sockets of %s: %m\n", in.message.id);
}

static void confine(int sock) {
	struct rlimit files, core = {0, 0};

	prctl(PR_SET_NAME, "wafer-relay", 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	if (close_other_fds(&sock, 1) != 0 || setrlimit(RLIMIT_CORE, &core) != 0)
		fatal("cannot confine: %m");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (drop_capabilities(0) != 0)
		fatal("cannot drop capabilities: %m");
}

static int connection_cap(void) {
	struct rlimit files;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return RELAY_CONNS_TOTAL;
	/* Half of the descriptors, so that listeners of new sandboxes always find one. */
	most = files.rlim_cur > RESERVED_FDS ? (files.rlim_cur - RESERVED_FDS) / (2 * FDS_PER_CONN) : 1;
	return most < RELAY_CONNS_TOTAL ? (int)most : RELAY_CONNS_TOTAL;
}

static void open_hub(struct hub *hub, const char *host_socket_path) {
	*hub = (struct hub){.host = {.sun_family = AF_UNIX}};
	if (strlen(host_socket_path) >= sizeof(hub->host.sun_path))
		fatal("the path of the host socket is too long");
	strcpy(hub->host.sun_path, host_socket_path);
	hub->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hub->epoll < 0)
		fatal("cannot make an epoll set: %m");
}

static void round_of_events(const struct hub *hub, struct boxes *boxes) {
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(hub->epoll, events, EVENTS_MAX, boxes->conns.n_waiting > 0 ? RETRY_MS : -1);

	if (n < 0 && errno != EINTR)
		fatal("cannot wait: %m");
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		source->ready(source, events[i].events);
	}
	if (boxes->conns.n_waiting > 0)
		boxes_retry(boxes);
	boxes_bury(boxes);
}

_Noreturn void relay_main(int sock, const char *host_socket_path) {
	struct hub hub;
	struct boxes boxes = {.hub = &hub, .conns = {.hub = &hub}};
	struct source control = {.fd = sock, .ready = control_ready, .owner = &boxes};

	confine(sock);
	boxes.conns.max = connection_cap();
	open_hub(&hub, host_socket_path);
	if (source_watch(&hub, &control, EPOLLIN) != 0)
		fatal("cannot watch the engine: %m");
	for (;;)
		round_of_events(&hub, &boxes);
}
