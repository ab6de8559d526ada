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
 */
#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
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

enum { EVENTS_MAX = 64, RETRY_MS = 20, RESERVED_FDS = 64, FDS_PER_CONN = 2 };
enum message_kind { MESSAGE_ADD = 1, MESSAGE_FORGET = 2 };

/* What the engine sends; the sockets travel beside it, TCP first. */
struct message {
	uint32_t kind, n_tcp, n_udp;
	char id[RELAY_ID_MAX + 1];
};

union control_buffer {
	char bytes[CMSG_SPACE(2 * RELAY_SOCKETS_MAX * sizeof(int))];
	struct cmsghdr align;
};

/*** The engine's side ***/

static int send_message(int sock, const struct message *message, const int *fds, int n_fds) {
	struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
	union control_buffer control = {0};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (n_fds > 0) {
		struct cmsghdr *rights;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, (size_t)n_fds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof(*message) ? 0 : -1;
}

int relay_send_sandbox(int sock, const char *sandbox_id, const int *tcp_listeners, int n_tcp, const int *udp_sockets,
                       int n_udp) {
	struct message message = {.kind = MESSAGE_ADD, .n_tcp = (uint32_t)n_tcp, .n_udp = (uint32_t)n_udp};
	int fds[2 * RELAY_SOCKETS_MAX];

	if (n_tcp < 0 || n_tcp > RELAY_SOCKETS_MAX || n_udp < 0 || n_udp > RELAY_SOCKETS_MAX ||
	    strlen(sandbox_id) > RELAY_ID_MAX) {
		errno = EINVAL;
		return -1;
	}
	strcpy(message.id, sandbox_id);
	if (n_tcp > 0)
		memcpy(fds, tcp_listeners, (size_t)n_tcp * sizeof(int));
	if (n_udp > 0)
		memcpy(fds + n_tcp, udp_sockets, (size_t)n_udp * sizeof(int));
	return send_message(sock, &message, fds, n_tcp + n_udp);
}

int relay_forget(int sock, const char *sandbox_id) {
	struct message message = {.kind = MESSAGE_FORGET};

	if (strlen(sandbox_id) > RELAY_ID_MAX) {
		errno = EINVAL;
		return -1;
	}
	strcpy(message.id, sandbox_id);
	return send_message(sock, &message, NULL, 0);
}

/*** Sources and flows ***/

__attribute__((format(printf, 1, 2), noreturn)) static void fatal(const char *format, ...) {
	va_list args;

	fputs("wafer-relay: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_exit(1);
}

/* A descriptor without interest leaves the set: EPOLLHUP is reported whether asked for or not, and would spin. */
int source_watch(struct relay *relay, struct source *source, uint32_t interest) {
	struct epoll_event event = {.events = interest, .data.ptr = source};
	int op = EPOLL_CTL_MOD;

	if (source->fd < 0 || interest == source->interest)
		return 0;
	if (source->interest == 0)
		op = EPOLL_CTL_ADD;
	else if (interest == 0)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(relay->epoll, op, source->fd, &event) != 0)
		return -1;
	source->interest = interest;
	return 0;
}

void source_close(struct relay *relay, struct source *source) {
	if (source->fd < 0)
		return;
	source_watch(relay, source, 0);
	close(source->fd);
	source->fd = -1;
	source->interest = 0;
}

int flow_append(struct flow *flow, const void *data, size_t size) {
	size_t old = flow->size - flow->at;
	unsigned char *grown;

	if (size == 0)
		return 0;
	if (old > 0 && flow->at > 0)
		memmove(flow->data, flow->data + flow->at, old);
	grown = realloc(flow->data, old + size);
	if (!grown)
		return -1;
	memcpy(grown + old, data, size);
	flow->data = grown;
	flow->at = 0;
	flow->size = old + size;
	return 0;
}

void flow_free(struct flow *flow) {
	free(flow->data);
	flow->data = NULL;
	flow->at = flow->size = 0;
}

int flow_flush(struct flow *flow, int to) {
	while (flow->at < flow->size) {
		ssize_t sent = send(to, flow->data + flow->at, flow->size - flow->at, MSG_NOSIGNAL);

		if (sent >= 0)
			flow->at += (size_t)sent;
		else if (errno == EAGAIN)
			return 1;
		else if (errno != EINTR)
			return -1;
	}
	flow_free(flow);
	return 0;
}

int relay_connect_host(const struct relay *relay) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&relay->host, sizeof(relay->host)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*** Sandboxes ***/

static struct sandbox **find_box(struct relay *relay, const char *id) {
	struct sandbox **at = &relay->boxes;

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

static void forget_box(struct relay *relay, const char *id) {
	struct sandbox **at = find_box(relay, id), *box = *at;

	if (!box)
		return;
	*at = box->next;
	box->dead = 1;
	while (box->conns)
		conn_abort(relay, box->conns);
	for (int i = 0; i < box->n_tcp; i++)
		source_close(relay, &box->tcp[i]);
	for (int i = 0; i < box->n_udp; i++)
		source_close(relay, &box->udp[i]);
	dns_close(relay, box);
	box->next = relay->buried_boxes;
	relay->buried_boxes = box;
}

static int adopt(struct relay *relay, struct sandbox *box, struct source *source, enum source_kind kind, int fd) {
	int flags = fcntl(fd, F_GETFL);

	*source = (struct source){.kind = kind, .fd = fd, .owner = box};
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -1;
	if (kind == SOURCE_UDP && dns_prepare(fd) != 0)
		return -1;
	return source_watch(relay, source, EPOLLIN);
}

/* Owns `fds` from here on. */
static void add_box(struct relay *relay, const struct message *message, const int *fds) {
	struct sandbox *box = calloc(1, sizeof(*box));
	int failed = 0;

	if (!box)
		fatal("out of memory");
	forget_box(relay, message->id);
	strcpy(box->id, message->id);
	box->dns = (struct source){.kind = SOURCE_DNS, .fd = -1, .owner = box};
	box->next = relay->boxes;
	relay->boxes = box;
	for (uint32_t i = 0; i < message->n_tcp; i++)
		failed |= adopt(relay, box, &box->tcp[box->n_tcp++], SOURCE_LISTENER, fds[i]);
	for (uint32_t i = 0; i < message->n_udp; i++)
		failed |= adopt(relay, box, &box->udp[box->n_udp++], SOURCE_UDP, fds[message->n_tcp + i]);
	if (failed) {
		fprintf(stderr, "wafer-relay: cannot watch the sockets of %s: %m\n", box->id);
		forget_box(relay, message->id);
	}
}

static int take_fds(struct msghdr *header, int *fds) {
	int n = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		n = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(part), (size_t)n * sizeof(int));
	}
	return n;
}

static void control_ready(struct relay *relay) {
	struct message message;
	struct iovec part = {.iov_base = &message, .iov_len = sizeof(message)};
	union control_buffer control = {0};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
	                        .msg_controllen = sizeof(control.bytes)};
	int fds[2 * RELAY_SOCKETS_MAX], n_fds;
	ssize_t got = recvmsg(relay->control.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == 0)
		_exit(0); /* the engine is gone */
	if (got != (ssize_t)sizeof(message) || (header.msg_flags & MSG_CTRUNC))
		fatal("a malformed message from the engine (%zd bytes)", got);
	n_fds = take_fds(&header, fds);
	message.id[RELAY_ID_MAX] = '\0';
	if (message.kind == MESSAGE_FORGET)
		forget_box(relay, message.id);
	else if (message.kind == MESSAGE_ADD && message.n_tcp <= RELAY_SOCKETS_MAX && message.n_udp <= RELAY_SOCKETS_MAX &&
	         (int)(message.n_tcp + message.n_udp) == n_fds)
		add_box(relay, &message, fds);
	else
		fatal("a malformed message from the engine (kind %u, %d descriptors)", message.kind, n_fds);
}

/*** The loop ***/

static void dispatch(struct relay *relay, struct source *source, uint32_t events) {
	struct conn *conn = source->owner;
	struct sandbox *box = source->owner;

	switch (source->kind) {
	case SOURCE_CONTROL:
		control_ready(relay);
		break;
	case SOURCE_LISTENER:
		if (!box->dead)
			conn_accept(relay, box, source);
		break;
	case SOURCE_UDP:
		if (!box->dead)
			dns_query(relay, box, (int)(source - box->udp));
		break;
	case SOURCE_DNS:
		if (!box->dead && source->fd >= 0)
			dns_host(relay, box, events);
		break;
	case SOURCE_CLIENT:
	case SOURCE_HOST:
		if (!conn->dead)
			conn_progress(relay, conn);
		break;
	}
}

/* Events of one round may still name what an earlier event of it closed; so that is freed here. */
static void bury(struct relay *relay) {
	while (relay->buried) {
		struct conn *next = relay->buried->next;

		free(relay->buried);
		relay->buried = next;
	}
	while (relay->buried_boxes) {
		struct sandbox *next = relay->buried_boxes->next;

		free(relay->buried_boxes);
		relay->buried_boxes = next;
	}
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

_Noreturn void relay_main(int sock, const char *host_socket_path) {
	struct relay relay = {.control = {.kind = SOURCE_CONTROL, .fd = sock}, .host = {.sun_family = AF_UNIX}};
	struct epoll_event events[EVENTS_MAX];

	if (strlen(host_socket_path) >= sizeof(relay.host.sun_path))
		fatal("the path of the host socket is too long");
	strcpy(relay.host.sun_path, host_socket_path);
	confine(sock);
	relay.max_conns = connection_cap();
	relay.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (relay.epoll < 0 || source_watch(&relay, &relay.control, EPOLLIN) != 0)
		fatal("cannot make an epoll set: %m");
	for (;;) {
		int n = epoll_wait(relay.epoll, events, EVENTS_MAX, relay.n_waiting > 0 ? RETRY_MS : -1);

		if (n < 0 && errno != EINTR)
			fatal("cannot wait: %m");
		for (int i = 0; i < n; i++)
			dispatch(&relay, events[i].data.ptr, events[i].events);
		if (relay.n_waiting > 0)
			conns_retry(&relay);
		bury(&relay);
	}
}
