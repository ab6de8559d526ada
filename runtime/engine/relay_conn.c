/*
 * One TCP connection of a sandbox, and its twin to the host.
 *
 * Bytes go through one shared buffer; what the other side does not take at once
 * is kept in the flow, and nothing more is read from a side while its flow holds
 * something. So a slow reader stops the writer, and a connection costs memory
 * only while it is stalled.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "relay.h"

enum { READS_PER_TURN = 8, ACCEPTS_PER_TURN = 16, CONNECT_TRIES = 250 };

static void reset_and_close(int fd) {
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void conn_release(struct relay *relay, struct conn *conn) {
	if (conn->host.fd < 0)
		relay->n_waiting--;
	source_close(relay, &conn->client);
	source_close(relay, &conn->host);
	flow_free(&conn->up);
	flow_free(&conn->down);
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	conn->dead = 1;
	conn->box->n_conns--;
	relay->n_conns--;
	conn->next = relay->buried;
	relay->buried = conn;
}

void conn_abort(struct relay *relay, struct conn *conn) {
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(conn->client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_release(relay, conn);
}

/*** Opening ***/

/* Where the client wanted to go, before the redirect. */
static int original_destination(int fd, char address[INET6_ADDRSTRLEN], unsigned int *port) {
	struct sockaddr_storage local;
	struct sockaddr_in v4 = {0};
	struct sockaddr_in6 v6 = {0};
	socklen_t size = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &size) != 0)
		return -1;
	if (local.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&local)->sin6_addr)) {
		size = sizeof(v6);
		if (getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, &v6, &size) != 0)
			return -1;
		*port = ntohs(v6.sin6_port);
		return inet_ntop(AF_INET6, &v6.sin6_addr, address, INET6_ADDRSTRLEN) ? 0 : -1;
	}
	size = sizeof(v4);
	if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, &v4, &size) != 0)
		return -1;
	*port = ntohs(v4.sin_port);
	return inet_ntop(AF_INET, &v4.sin_addr, address, INET6_ADDRSTRLEN) ? 0 : -1;
}

/* The header is the first thing in the upward flow, so it needs no state of its own. */
static struct conn *conn_new(struct relay *relay, struct sandbox *box, int client) {
	char address[INET6_ADDRSTRLEN], header[RELAY_ID_MAX + 96];
	struct conn *conn;
	unsigned int port;
	int size;

	if (original_destination(client, address, &port) != 0)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	size = snprintf(header, sizeof(header), "wafer1 egress %s tcp %s %u\n", box->id, address, port);
	if (flow_append(&conn->up, header, (size_t)size) != 0) {
		free(conn);
		return NULL;
	}
	conn->box = box;
	conn->client = (struct source){.kind = SOURCE_CLIENT, .fd = client, .owner = conn};
	conn->host = (struct source){.kind = SOURCE_HOST, .fd = -1, .owner = conn};
	conn->next = box->conns;
	conn->link = &box->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	box->conns = conn;
	box->n_conns++;
	relay->n_conns++;
	relay->n_waiting++; /* until the host end is open */
	return conn;
}

static void conn_open_host(struct relay *relay, struct conn *conn) {
	int fd = relay_connect_host(relay);

	if (fd >= 0) {
		conn->host.fd = fd;
		relay->n_waiting--;
		conn_progress(relay, conn);
	} else if (errno != EAGAIN || ++conn->tries > CONNECT_TRIES) {
		conn_abort(relay, conn);
	}
}

void conns_retry(struct relay *relay) {
	for (struct sandbox *box = relay->boxes; box; box = box->next) {
		struct conn *next;

		for (struct conn *conn = box->conns; conn; conn = next) {
			next = conn->next;
			if (conn->host.fd < 0)
				conn_open_host(relay, conn);
		}
	}
}

void conn_accept(struct relay *relay, struct sandbox *box, const struct source *listener) {
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int client = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
		struct conn *conn = NULL;

		if (client < 0)
			return;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		if (box->n_conns < RELAY_CONNS_PER_SANDBOX && relay->n_conns < relay->max_conns)
			conn = conn_new(relay, box, client);
		if (conn)
			conn_open_host(relay, conn);
		else
			reset_and_close(client);
	}
}

/*** Copying ***/

/* Reads until there is nothing, or the other side is full. -1: this side or the other one failed. */
static int flow_pump(struct flow *flow, int from, int to) {
	static unsigned char chunk[RELAY_CHUNK];

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t got, sent;

		if (flow->eof || flow->size > 0)
			return 0;
		got = recv(from, chunk, sizeof(chunk), 0);
		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (got == 0) {
			flow->eof = 1;
			return 0;
		}
		sent = send(to, chunk, (size_t)got, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (sent < 0)
			sent = 0;
		if (sent < got && flow_append(flow, chunk + sent, (size_t)(got - sent)) != 0)
			return -1;
	}
	return 0;
}

static int flow_step(struct flow *flow, int from, int to) {
	int left = flow_flush(flow, to);

	if (left < 0 || (left == 0 && flow_pump(flow, from, to) != 0))
		return -1;
	if (flow->eof && flow->size == 0 && !flow->shut) {
		shutdown(to, SHUT_WR);
		flow->shut = 1;
	}
	return 0;
}

static int hung_up(int fd) {
	struct pollfd now = {.fd = fd, .events = 0};

	return poll(&now, 1, 0) == 1 && (now.revents & (POLLHUP | POLLERR)) != 0;
}

/* The host ended both directions at once though the client has not ended: it gave up on the connection. */
static int host_gave_up(const struct conn *conn) {
	return conn->down.eof && !conn->up.shut && hung_up(conn->host.fd);
}

static uint32_t interest_of(const struct flow *reading, const struct flow *writing) {
	uint32_t interest = 0;

	if (!reading->eof && reading->size == 0)
		interest |= EPOLLIN;
	if (writing->size > 0)
		interest |= EPOLLOUT;
	return interest;
}

void conn_progress(struct relay *relay, struct conn *conn) {
	int client = conn->client.fd, host = conn->host.fd;
	int left = flow_flush(&conn->down, client);

	/* Downward first: what the host said before it closed should arrive. */
	if (left == 0)
		left = flow_pump(&conn->down, host, client);
	if (left < 0 || host_gave_up(conn) || flow_step(&conn->down, host, client) != 0 ||
	    flow_step(&conn->up, client, host) != 0) {
		conn_abort(relay, conn);
		return;
	}
	if (conn->up.shut && conn->down.shut) {
		conn_release(relay, conn);
		return;
	}
	if (source_watch(relay, &conn->client, interest_of(&conn->up, &conn->down)) != 0 ||
	    source_watch(relay, &conn->host, interest_of(&conn->down, &conn->up)) != 0)
		conn_abort(relay, conn);
}
