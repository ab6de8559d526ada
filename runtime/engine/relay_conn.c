/*
 * One TCP connection of a sandbox, and its twin to the host.
 *
 * Two flows (relay_flow.c) between two descriptors; what each descriptor is
 * watched for follows from what the flows hold.
 */
#define _GNU_SOURCE
#include "relay_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 16, CONNECT_TRIES = 250 };

static void reset_and_close(int fd) {
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void conn_release(struct conn *conn) {
	struct conn_pool *pool = conn->group->pool;

	if (conn->host.fd < 0)
		pool->n_waiting--;
	source_close(pool->hub, &conn->client);
	source_close(pool->hub, &conn->host);
	flow_free(&conn->up);
	flow_free(&conn->down);
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	conn->dead = 1;
	conn->group->n--;
	pool->n--;
	conn->next = pool->buried;
	pool->buried = conn;
}

/* The client sees a reset. */
static void conn_abort(struct conn *conn) {
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(conn->client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_release(conn);
}

/*** Copying ***/

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

static void conn_progress(struct conn *conn) {
	struct hub *hub = conn->group->pool->hub;
	int client = conn->client.fd, host = conn->host.fd;

	/*
	 * Downward first: what the host said before it closed should arrive. Nothing is read between
	 * the question whether it gave up and passing its end on, or giving up would look like an end.
	 */
	if (flow_copy(&conn->down, host, client) != 0 || host_gave_up(conn)) {
		conn_abort(conn);
		return;
	}
	flow_end(&conn->down, client);
	if (flow_copy(&conn->up, client, host) != 0) {
		conn_abort(conn);
		return;
	}
	flow_end(&conn->up, host);
	if (conn->up.shut && conn->down.shut) {
		conn_release(conn);
		return;
	}
	if (source_watch(hub, &conn->client, interest_of(&conn->up, &conn->down)) != 0 ||
	    source_watch(hub, &conn->host, interest_of(&conn->down, &conn->up)) != 0)
		conn_abort(conn);
}

static void conn_ready(struct source *source, uint32_t events) {
	struct conn *conn = source->owner;

	(void)events;
	if (!conn->dead)
		conn_progress(conn);
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

static void conn_enlist(struct conn *conn, struct conn_group *group) {
	conn->group = group;
	conn->next = group->first;
	conn->link = &group->first;
	if (conn->next)
		conn->next->link = &conn->next;
	group->first = conn;
	group->n++;
	group->pool->n++;
	group->pool->n_waiting++; /* until the host end is open */
}

/* The header is the first thing in the upward flow, so it needs no state of its own. */
static struct conn *conn_new(struct conn_group *group, int client) {
	char address[INET6_ADDRSTRLEN], header[RELAY_ID_MAX + 96];
	struct conn *conn;
	unsigned int port;
	int size;

	if (original_destination(client, address, &port) != 0)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	size = snprintf(header, sizeof(header), "wafer1 egress %s tcp %s %u\n", group->id, address, port);
	if (flow_append(&conn->up, header, (size_t)size) != 0) {
		free(conn);
		return NULL;
	}
	conn->client = (struct source){.fd = client, .ready = conn_ready, .owner = conn};
	conn->host = (struct source){.fd = -1, .ready = conn_ready, .owner = conn};
	conn_enlist(conn, group);
	return conn;
}

static void conn_open_host(struct conn *conn) {
	struct conn_pool *pool = conn->group->pool;
	int fd = hub_connect_host(pool->hub);

	if (fd >= 0) {
		conn->host.fd = fd;
		pool->n_waiting--;
		conn_progress(conn);
	} else if (errno != EAGAIN || ++conn->tries > CONNECT_TRIES) {
		conn_abort(conn);
	}
}

void conns_accept(struct conn_group *group, int listener) {
	struct conn_pool *pool = group->pool;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
		struct conn *conn = NULL;

		if (client < 0)
			return;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		if (group->n < RELAY_CONNS_PER_SANDBOX && pool->n < pool->max)
			conn = conn_new(group, client);
		if (conn)
			conn_open_host(conn);
		else
			reset_and_close(client);
	}
}

static int make_nonblocking(int fd) {
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void conn_pair(struct conn_group *group, int client, int host) {
	struct conn *conn = NULL;
	int yes = 1;

	if (group->n < RELAY_CONNS_PER_SANDBOX && group->pool->n < group->pool->max && make_nonblocking(client) == 0 &&
	    make_nonblocking(host) == 0)
		conn = calloc(1, sizeof(*conn));
	if (!conn) {
		reset_and_close(client);
		close(host);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	conn->client = (struct source){.fd = client, .ready = conn_ready, .owner = conn};
	conn->host = (struct source){.fd = host, .ready = conn_ready, .owner = conn};
	conn_enlist(conn, group);
	group->pool->n_waiting--; /* its host end is open */
	conn_progress(conn);
}

/*** All of a sandbox, and of the relay ***/

void conns_retry(struct conn_group *group) {
	struct conn *next;

	for (struct conn *conn = group->first; conn; conn = next) {
		next = conn->next;
		if (conn->host.fd < 0)
			conn_open_host(conn);
	}
}

void conns_abort(struct conn_group *group) {
	while (group->first)
		conn_abort(group->first);
}

void conns_bury(struct conn_pool *pool) {
	while (pool->buried) {
		struct conn *next = pool->buried->next;

		free(pool->buried);
		pool->buried = next;
	}
}
