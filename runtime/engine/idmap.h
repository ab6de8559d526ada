/* Which ids the engine owns, and which of them a sandbox gets. */
#ifndef WAFER_IDMAP_H
#define WAFER_IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "jobs.h"
#include "request.h"

/*
 * Inside the engine's user namespace:
 *   0             the worker's own uid; never mapped in a sandbox
 *   1..4096       layer block: container ids 0..4095
 *   4097          container id 65534
 *   4098          owner of what functions write to volumes, the same in all sandboxes that mount one
 *   4099..count   private ids, one for each other function sandbox
 */
#define LAYER_FIRST 1
#define LAYER_COUNT 4096
#define NOBODY_ID (LAYER_FIRST + LAYER_COUNT)
#define NOBODY_INSIDE 65534
#define VOLUME_ID (NOBODY_ID + 1)
#define PRIVATE_FIRST (VOLUME_ID + 1)
#define FUNCTION_ID 1000

struct ids {
	bool single;             /* no subordinate range: everything is the worker's own id */
	unsigned first, count;   /* host ids of inside 1..count */
	unsigned own_uid;
	unsigned char *used;     /* of the private ids */
	unsigned slots, next, taken;
	char detail[128];        /* why single */
};

/* Enters a new user namespace as its root. */
int ids_enter(struct ids *ids);
/* A private id, or 0 when none is free. */
unsigned ids_take(struct ids *ids);
void ids_release(struct ids *ids, unsigned id);
unsigned ids_host(const struct ids *ids, unsigned inside);
/* What the engine's `id` is called in a sandbox. */
unsigned ids_inside(const struct ids *ids, enum profile profile, unsigned private_id, unsigned id);
struct idmap ids_for_jobs(const struct ids *ids);
/* The same for files of volumes: whatever comes in belongs to their owner, and goes out as the function's user. */
struct idmap ids_for_volumes(const struct ids *ids);
/* The owner of a volume's files. */
unsigned ids_volume_owner(const struct ids *ids);
/* Writes uid_map and gid_map of a new sandbox; `private_id` for functions. */
int ids_map_sandbox(const struct ids *ids, int procfd, pid_t pid, enum profile profile,
                    unsigned private_id);

#endif
