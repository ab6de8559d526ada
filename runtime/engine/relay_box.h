/* The sandboxes that the relay serves: their sockets, connections and look-ups. */
#ifndef WAFER_RELAY_BOX_H
#define WAFER_RELAY_BOX_H

#include "relay_conn.h"
#include "relay_dns.h"
#include "relay_message.h"

struct box {
	struct box *next;
	char id[RELAY_ID_MAX + 1];
	struct source tcp[RELAY_SOCKETS_MAX], udp[RELAY_SOCKETS_MAX];
	int n_tcp, n_udp;
	struct conn_group conns;
	struct dns dns;
	int dead;
};

struct boxes {
	struct hub *hub;
	struct conn_pool conns;
	struct box *first;
	struct box *buried; /* forgotten in this round; freed after it */
};

/* Owns the descriptors of `in` from here on; a sandbox of the same id is forgotten first.
 * -1 with errno: the sandbox is not served, and its descriptors are closed. */
int box_add(struct boxes *boxes, const struct incoming *in);
/* Owns both descriptors: bytes go between them until both have ended. Makes a box where the sandbox has no egress. */
void box_pair(struct boxes *boxes, const struct incoming *in);
/* Resets its connections and closes its sockets. An unknown id is no error. */
void box_forget(struct boxes *boxes, const char *id);
/* Connections that found the host's backlog full. */
void boxes_retry(struct boxes *boxes);
/* Events of one round may still name what an earlier event of it closed; so it is freed here, after the round. */
void boxes_bury(struct boxes *boxes);

#endif
