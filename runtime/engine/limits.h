/* Memory, processes and CPU of a sandbox, by what the machine offers: cgroup v2, v1, or none. */
#ifndef WAFER_LIMITS_H
#define WAFER_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "request.h"
#include "util.h"

#define V1_CONTROLLERS 5
#define GROUP_NAME_LENGTH 48
#define LIMITS_STOCK 8    /* groups that are ready for a sandbox */
#define LIMITS_LEAVING 64 /* of ended sandboxes that may wait to be removed */

struct usage {
	/* -1: not known. pids counts threads too where cgroups count, processes does not, nor zombies. */
	int64_t memory, memory_peak, cpu_us, pids, processes, oom_kills;
};

/* One sandbox's share. */
struct limits_group {
	char name[GROUP_NAME_LENGTH];
	uint64_t memory, peak;
	int directory;             /* v2: for CLONE_INTO_CGROUP */
	int tasks[V1_CONTROLLERS]; /* v1: the child joins through these */
	int oom_event;             /* v1: becomes readable at an out-of-memory */
	bool made, over;           /* over: the watcher saw it above its memory */
};

/* 0: not given. */
struct shares {
	uint64_t memory, pids, cpu;
};

struct limits {
	const struct limits_mode *mode;
	int roots[V1_CONTROLLERS]; /* v2 uses the first */
	int procfd;
	pid_t engine;
	char detail[768];
	char memory_path[256], cpu_path[256]; /* of the roots, for the worker's own readings; "": none */
	unsigned serial;                          /* of the next group's name */
	struct limits_group stock[LIMITS_STOCK];  /* made, never used */
	char leaving[LIMITS_LEAVING][GROUP_NAME_LENGTH]; /* used, to be removed */
	unsigned stocked, leaving_count;
	bool is_busy, make_failed; /* one of those was not empty yet; none could be made: not before the next tick */
};

enum freezing { FREEZE_BY_SIGNALS, FREEZE_BEGUN, FREEZE_FAILED };

struct limits_mode {
	const char *name;
	/* Finds out whether the mode works here; fills detail either way. */
	bool (*probe)(struct limits *limits);
	/* A group without limits, and the handles by which a child joins it. NULL: there are no groups. */
	int (*make)(struct limits *limits, struct limits_group *group);
	/* Limits of a new group, or others for a live sandbox; 0: as they were. */
	int (*change)(struct limits *limits, struct limits_group *group, pid_t init,
	              const struct shares *shares);
	/* Called in the child before anything else; v2 has nothing to do. */
	int (*join)(struct limits_group *group);
	/* Every tick, for a running sandbox: sets `over`. May be NULL. */
	void (*watch)(struct limits *limits, struct limits_group *group, pid_t init);
	/* Of one whose processes have all ended only what stays: peak, CPU, out-of-memory kills. */
	void (*usage)(struct limits *limits, struct limits_group *group, pid_t init, bool has_ended,
	              struct usage *usage);
	/* Begins to stop (or to continue) all of the group. NULL: pid 1 has to, by signals. */
	enum freezing (*freeze)(struct limits *limits, struct limits_group *group, bool stop);
	bool (*is_frozen)(struct limits *limits, struct limits_group *group);
	/* False: processes are still leaving, try again. */
	bool (*remove)(struct limits *limits, const char *name);
};

extern const struct limits_mode limits_v2, limits_v1, limits_none;

/* Chooses; `wanted` is auto or a mode's name. Called before the engine changes its root. */
int limits_probe(struct limits *limits, const char *wanted);
/* Where groups are, as the host names it; for probes, which find it out. */
void limits_note_paths(struct limits *limits, int memory, int cpu);
int limits_create(struct limits *limits, struct limits_group *group, const struct spec *spec);
/* What is not born in the group joins it through `tasks`, in every mode that has groups. */
int limits_open_tasks(struct limits_group *group);
int limits_change(struct limits *limits, struct limits_group *group, pid_t init,
                  const struct shares *shares);
/* After the child has its own copies. */
void limits_close_handles(struct limits_group *group);
/* Its sandbox has ended; the group is removed behind that. */
void limits_leave(struct limits *limits, struct limits_group *group);

/* limits_stock.c: what is made ahead of its use and removed behind it, one piece at a time. */
bool limits_take(struct limits *limits, struct limits_group *group);
void limits_give(struct limits *limits, const char *name);
bool limits_has_work(const struct limits *limits);
/* Pieces of work until nothing is left to do. */
unsigned limits_to_do(const struct limits *limits);
void limits_work(struct limits *limits);
void limits_tick(struct limits *limits);
bool limits_wants_ticks(const struct limits *limits);
/* The engine ends: what no sandbox has goes. */
void limits_end(struct limits *limits);
/* Open for groups of the stock. */
int limits_stock_fds(const struct limits *limits);
/* A new group, without limits. */
int limits_make(struct limits *limits, struct limits_group *group);
/* Shared by both cgroup modes: a write whose file may be missing on this kernel. */
int limits_write(int directory, const char *group, const char *file, bool optional,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
long long limits_read(int directory, const char *group, const char *file);
/* Processes of a group: lines of its cgroup.procs. */
long long limits_count_processes(int directory, const char *group);
long long limits_read_keyed(int directory, const char *group, const char *file, const char *key);
/* Groups of engines that are gone. */
void limits_sweep(int directory);

#endif
