/* Internals of the egress relay: relay.c (process, sandboxes), relay_conn.c (TCP), relay_dns.c (UDP 53). */
#ifndef WAFER_RELAY_H
#define WAFER_RELAY_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "jobs.h"

enum {
	RELAY_SOCKETS_MAX = 4,        /* of each kind, per sandbox */
	RELAY_CONNS_PER_SANDBOX = 256,
	RELAY_CONNS_TOTAL = 4096,     /* less when the descriptor limit says so */
	RELAY_CHUNK = 65536,
	RELAY_ID_MAX = 128,
	RELAY_DNS_PENDING = 256,
	RELAY_DNS_QUERY_MAX = 4096,
	RELAY_DNS_QUEUE_MAX = 65536,
};

enum source_kind { SOURCE_CONTROL, SOURCE_LISTENER, SOURCE_UDP, SOURCE_DNS, SOURCE_CLIENT, SOURCE_HOST };

/* One descriptor in the epoll set. `interest` 0 means that it is not in the set. */
struct source {
	enum source_kind kind;
	int fd;
	uint32_t interest;
	void *owner; /* struct sandbox or struct conn */
};

/* Bytes that were read from one side and not yet written to the other. */
struct flow {
	unsigned char *data;
	size_t at, size;
	int eof;  /* the reading side has ended */
	int shut; /* and the writing side was told */
};

struct conn {
	struct conn *next, **link;
	struct sandbox *box;
	struct source client, host;
	struct flow up, down; /* client to host, host to client */
	int tries;            /* of connecting while the host's backlog was full */
	int dead;
};

struct dns_pending {
	uint32_t id;
	int used, udp;
	struct sockaddr_storage peer;
	socklen_t peer_size;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} local; /* the address the query came to; the answer has to leave from it */
};

struct sandbox {
	struct sandbox *next;
	char id[RELAY_ID_MAX + 1];
	struct source tcp[RELAY_SOCKETS_MAX], udp[RELAY_SOCKETS_MAX], dns;
	int n_tcp, n_udp, n_conns;
	struct conn *conns;
	struct flow dns_out;
	unsigned char *dns_in; /* RELAY_DNS_IN bytes, made with the connection */
	size_t dns_in_size;
	uint32_t dns_next;
	struct dns_pending pending[RELAY_DNS_PENDING];
	int dead;
};

struct relay {
	int epoll;
	struct source control;
	struct sockaddr_un host;
	struct sandbox *boxes;
	struct conn *buried;            /* closed in this round; freed after it */
	struct sandbox *buried_boxes;
	int n_conns, max_conns, n_waiting;
};

/* relay.c */
int source_watch(struct relay *relay, struct source *source, uint32_t interest);
void source_close(struct relay *relay, struct source *source);
/* A connected non-blocking socket, or -1 with errno (EAGAIN: the host's backlog is full, try later). */
int relay_connect_host(const struct relay *relay);

/* Writes what is pending. 0 all written, 1 some left, -1 failed. */
int flow_flush(struct flow *flow, int to);
int flow_append(struct flow *flow, const void *data, size_t size);
void flow_free(struct flow *flow);

/* relay_conn.c */
void conn_accept(struct relay *relay, struct sandbox *box, const struct source *listener);
void conn_progress(struct relay *relay, struct conn *conn);
void conn_abort(struct relay *relay, struct conn *conn); /* the client sees a reset */
void conns_retry(struct relay *relay);

/* relay_dns.c */
int dns_prepare(int udp_fd);
void dns_query(struct relay *relay, struct sandbox *box, int udp_index);
void dns_host(struct relay *relay, struct sandbox *box, uint32_t events);
void dns_close(struct relay *relay, struct sandbox *box);

#endif
