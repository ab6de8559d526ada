/* Name look-ups of sandboxes: UDP from them, one framed connection each to the host. */
#ifndef WAFER_RELAY_DNS_H
#define WAFER_RELAY_DNS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay_flow.h"
#include "relay_hub.h"

enum { RELAY_DNS_PENDING = 256 };

struct dns_pending {
	uint32_t id;
	int used, udp; /* the socket that the query came by */
	struct sockaddr_storage peer;
	socklen_t peer_size;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} local; /* the address the query came to; the answer has to leave from it */
};

/* Of one sandbox. `id` has to live as long. */
struct dns {
	struct hub *hub;
	const char *id;
	struct source host; /* opened by the first query */
	struct flow out;
	unsigned char *in; /* one whole frame fits; made with the connection */
	size_t in_size;
	uint32_t next;
	struct dns_pending pending[RELAY_DNS_PENDING];
};

void dns_init(struct dns *dns, struct hub *hub, const char *id);
/* Sets up a UDP socket for dns_query(). -1 with errno. */
int dns_prepare(int udp);
/* Takes what waits at the socket, which has to stay open as long as `dns`. */
void dns_query(struct dns *dns, int udp);
/* Forgets what is pending; the next query opens it again. */
void dns_close(struct dns *dns);

#endif
