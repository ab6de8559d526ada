/*
 * One direction of a connection.
 *
 * Bytes go through one buffer that all flows share; what the writing side does
 * not take at once is kept in the flow, and nothing more is read while the flow
 * holds something. So a slow reader stops the writer, and a flow costs memory
 * only while it is stalled. Descriptors are non-blocking.
 */
#include "relay_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CHUNK = 65536, READS_PER_TURN = 8 };

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

static int flow_pump(struct flow *flow, int from, int to) {
	static unsigned char chunk[CHUNK];

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

int flow_copy(struct flow *flow, int from, int to) {
	int left = flow_flush(flow, to);

	return left == 0 ? flow_pump(flow, from, to) : left < 0 ? -1 : 0;
}

void flow_end(struct flow *flow, int to) {
	if (!flow->eof || flow->size > 0 || flow->shut)
		return;
	shutdown(to, SHUT_WR);
	flow->shut = 1;
}
