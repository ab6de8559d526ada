/* What the engine tells the relay, as the relay receives it. The sending side is in jobs.h. */
#ifndef WAFER_RELAY_MESSAGE_H
#define WAFER_RELAY_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "relay_hub.h"

enum { RELAY_SOCKETS_MAX = 4 }; /* of each kind, per sandbox */

enum message_kind { MESSAGE_ADD = 1, MESSAGE_FORGET = 2, MESSAGE_PAIR = 3 };

/* The wire format; both ends are one program. The sockets travel beside it, TCP first; of a pair the inner one first. */
struct message {
	uint32_t kind, n_tcp, n_udp;
	char id[RELAY_ID_MAX + 1];
};

struct incoming {
	struct message message;
	int fds[2 * RELAY_SOCKETS_MAX]; /* the receiver's, to close */
	int n_fds;
	ssize_t size; /* bytes that came; for a message of what was wrong */
};

enum received { RECEIVED_NOTHING, RECEIVED_END, RECEIVED_MESSAGE, RECEIVED_MALFORMED };
enum received message_receive(int sock, struct incoming *in);

#endif
