/* Bytes that were read from one side and not yet written to the other. */
#ifndef WAFER_RELAY_FLOW_H
#define WAFER_RELAY_FLOW_H

#include <stddef.h>

struct flow {
	unsigned char *data;
	size_t at, size;
	int eof;  /* the reading side has ended */
	int shut; /* and the writing side was told */
};

/* Keeps a copy of `data` behind what is pending. -1: out of memory. */
int flow_append(struct flow *flow, const void *data, size_t size);

/* Writes what is pending. 0 all written, 1 some left, -1 failed. */
int flow_flush(struct flow *flow, int to);

/* Flushes, then reads until there is nothing or the other side is full. -1: one of the sides failed. */
int flow_copy(struct flow *flow, int from, int to);

/* Passes the end on, once, when nothing is left. */
void flow_end(struct flow *flow, int to);

void flow_free(struct flow *flow);

#endif
