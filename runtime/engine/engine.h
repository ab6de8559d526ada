/* The engine's state and the parts of its loop. One thread; nothing here waits for a sandbox. */
#ifndef WAFER_ENGINE_H
#define WAFER_ENGINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "confine.h"
#include "frame.h"
#include "idmap.h"
#include "limits.h"
#include "util.h"

/* Something the loop waits for. `ready` may free the source's owner. */
struct engine;

struct source {
	int fd;
	void (*ready)(struct engine *engine, struct source *source);
};

#define owner_of(source, type, member)                                                          \
	((type *)(void *)((char *)(source)-offsetof(type, member)))

/* Net namespaces that wait for a function (net_stock.c). */
#define NET_STOCK 8
struct net_stock {
	struct source source, process; /* the helper's words and its end; -1: there is none */
	int own, fds[NET_STOCK];
	unsigned ready, asked;
};

struct engine {
	int epoll, control, layers, work, volumes, procfd, self_pidfd, relay;
	int host_layers, host_work; /* the same directories, of the host's one mount; for adopt */
	int mounts, bare;            /* mount namespaces: the engine's own, and the one to clone from */
	struct source control_source, relay_source;
	struct net_stock net;
	pid_t relay_pid;
	uint32_t control_events;
	struct buffer in, out;
	struct sockaddr_un host; /* where streams are connected to */
	struct ids ids;
	struct limits limits;
	struct seccomp_filters filters;
	int landlock_abi;
	bool time_namespace;
	struct sandbox *sandboxes, *ticking, *watched; /* all; some of them; whose memory is looked at next */
	struct sandbox *buckets[1024];                 /* by id */
	struct zygote *zygotes;
	struct job *jobs;
	unsigned sandbox_count, job_count;
	uint64_t temporary; /* number of the next temporary name */
};

/* loop.c */
int loop_watch(struct engine *engine, struct source *source);
void loop_unwatch(struct engine *engine, struct source *source);
_Noreturn void loop_run(struct engine *engine);
/* Sends what is in engine->out, as far as the worker takes it now. */
void loop_flush(struct engine *engine);
/* A connection to the worker that begins with `wafer1 TOKEN`; -1 and a fault. */
int connect_stream(const struct engine *engine, const char *token);
void reply_ok(struct engine *engine, uint32_t id);
void reply_fault(struct engine *engine, uint32_t id, const char *code);

/* bare.c: the namespace, or -1 and a fault. */
int bare_open(const struct engine *engine);
/* After a setns into other mounts. Ends the engine, and all that lives in it, when it can not. */
void mounts_return(struct engine *engine);

/* net_stock.c */
int net_stock_start(struct engine *engine);
/* How many are missing; whether the helper has to hear of it; one piece of that. */
unsigned net_stock_to_do(const struct engine *engine);
bool net_stock_has_work(const struct engine *engine);
void net_stock_work(struct engine *engine);
/* Into one of its namespaces, which nobody else gets; false when there is none. */
bool net_stock_enter(struct engine *engine);
/* Back. Ends the engine, and all that lives in it, when it can not. */
void net_stock_return(struct engine *engine);

/* sandbox.c */
void sandbox_create(struct engine *engine, struct message *message);
void sandbox_exec(struct engine *engine, const struct message *message);
void sandbox_freeze(struct engine *engine, const struct message *message);
void sandbox_thaw(struct engine *engine, const struct message *message);
void sandbox_attach(struct engine *engine, const struct message *message);
void sandbox_mount(struct engine *engine, const struct message *message);
void sandbox_connect(struct engine *engine, const struct message *message);
/* The engine ends: frozen ones would outlive it. */
void sandboxes_let_die(struct engine *engine);
void sandbox_resize(struct engine *engine, const struct message *message);
void sandbox_signal(struct engine *engine, const struct message *message);
void sandbox_stats(struct engine *engine, const struct message *message);
void sandbox_destroy(struct engine *engine, const struct message *message);
/* Every TICK_MS while `sandbox_wants_ticks`. */
void sandbox_tick(struct engine *engine);
bool sandbox_wants_ticks(const struct engine *engine);

/* jobs.c */
void job_unpack(struct engine *engine, const struct message *message);
void job_pack(struct engine *engine, const struct message *message);
void job_remove(struct engine *engine, const struct message *message);
void job_measure(struct engine *engine, const struct message *message);
void job_adopt(struct engine *engine, const struct message *message);
void job_list(struct engine *engine, const struct message *message);

/* jobs_volumes.c */
void volume_make(struct engine *engine, const struct message *message);
void job_seal(struct engine *engine, const struct message *message);
void job_copy(struct engine *engine, const struct message *message);
void job_list_volume(struct engine *engine, const struct message *message);
void job_read_part(struct engine *engine, const struct message *message);
void job_read_volume(struct engine *engine, const struct message *message);
void job_write_volume(struct engine *engine, const struct message *message);

/* jobs_sandbox.c: jobs about a live sandbox */
void job_processes(struct engine *engine, const struct message *message);
void job_read_files(struct engine *engine, const struct message *message);
void job_write_files(struct engine *engine, const struct message *message);
/* Of a volume that got no name; nobody waits for it. */
void job_remove_quietly(struct engine *engine, int directory, const char *name);

#endif
