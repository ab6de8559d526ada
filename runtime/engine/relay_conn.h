/* TCP connections of sandboxes, each with its twin to the host. */
#ifndef WAFER_RELAY_CONN_H
#define WAFER_RELAY_CONN_H

#include "relay_flow.h"
#include "relay_hub.h"

enum {
	RELAY_CONNS_PER_SANDBOX = 256,
	RELAY_CONNS_TOTAL = 4096, /* less when the descriptor limit says so */
};

/* All connections of the relay. */
struct conn_pool {
	struct hub *hub;
	struct conn *buried; /* closed in this round; freed after it */
	int n, max;
	int n_waiting; /* for the host's backlog: conns_retry() has to be called */
};

/* The connections of one sandbox. `id` has to live as long. */
struct conn_group {
	struct conn_pool *pool;
	const char *id;
	struct conn *first;
	int n;
};

struct conn {
	struct conn *next, **link;
	struct conn_group *group;
	struct source client, host;
	struct flow up, down; /* client to host, host to client */
	int tries;            /* of connecting while the host's backlog was full */
	int dead;
};

/* Takes what waits at the listener; above the limits the client sees a reset. */
void conns_accept(struct conn_group *group, int listener);
/* The worker's own connection into the sandbox: `client` is connected there, `host` to the worker. Owns both. */
void conn_pair(struct conn_group *group, int client, int host);
/* Tries again for those whose host end is not open. */
void conns_retry(struct conn_group *group);
/* Every client sees a reset. */
void conns_abort(struct conn_group *group);
/* After each round of events: frees what was closed in it. */
void conns_bury(struct conn_pool *pool);

#endif
