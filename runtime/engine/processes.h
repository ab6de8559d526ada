/* The processes of a sandbox, read from the engine's /proc. */
#ifndef WAFER_PROCESSES_H
#define WAFER_PROCESSES_H

#include "frame.h"
#include "idmap.h"

struct pids {
	int *list; /* the caller frees it */
	size_t count, capacity;
};

/* As the engine sees them, init first. */
void pids_collect(struct pids *pids, int procfd, int init);

/* A field `process=` for each: pid, parent, uid (all inside), CPU ms, rss bytes, state, command line. */
void processes_describe(struct buffer *out, int procfd, int init, const struct ids *ids,
                        enum profile profile, unsigned private_id);

#endif
