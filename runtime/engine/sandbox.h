/* The engine's side of one sandbox. sandbox_start.c makes it, sandbox.c follows its life and
 * end, sandbox_exec.c its programs, sandbox_attach.c gives it code later, sandbox_request.c
 * serves what else is asked of it. */
#ifndef WAFER_SANDBOX_H
#define WAFER_SANDBOX_H

#include "engine.h"
#include "init.h"

/* What pid 1 was asked for. A program stays until its end, the others until the answer. */
enum asked { ASKED_EXEC, ASKED_STOP, ASKED_CONTINUE, ASKED_SIGNAL, ASKED_CONNECT };

struct pending {
	struct pending *next;
	enum asked what;
	uint32_t number, request; /* request 0: answered */
	pid_t pid;
	bool terminal;
	char name[NAME_LENGTH + 1]; /* of an exec; of a connection its token */
};

/* A connection into the sandbox that is not there yet (sandbox_connect.c). */
struct dialing;

struct waiter {
	struct waiter *next;
	uint32_t request;
};

enum state { STARTING, RUNNING };

struct sandbox {
	struct sandbox *next, *previous, *same_bucket, *next_ticking;
	bool ticks;
	char id[NAME_LENGTH + 1];
	enum state state;
	uint32_t create_request;
	pid_t pid;
	unsigned private_id;
	enum profile profile;
	struct limits_group group;
	struct source process, commands, oom; /* fd -1: none */
	int held[6 + V1_CONTROLLERS]; /* what the child inherits, until it has it */
	int mounts, users; /* namespaces, for jobs; -1: of a function */
	/* For attach (sandbox_attach.c); -1: not of this one, or used. */
	int code_mounts, code_point, tmp_point, secrets_point;
	int volume_mounts, points; /* for mount (sandbox_mount.c); -1: it has no places */
	unsigned point_count, shown; /* places, and which of them have a volume, as bits */
	bool attached;       /* or tried: there is no second time */
	uint64_t pids;       /* what it was created with; 0: no limit */
	uint64_t clone_us, mounts_us, exec_us;
	bool forked;             /* a zygote made the program */
	struct fault not_forked; /* why not, where one was to */
	struct fault fault;   /* why it did not start */
	bool has_status, oom_seen, killed, relayed, parked, terminal;
	int status;           /* wait status of the first program */
	int64_t cpu_us;       /* from rusage, where no group counts */
	struct usage last;    /* taken just before the group goes */
	uint32_t asked; /* so far: the number of the latest */
	struct pending *pending;
	struct dialing *dialing;
	struct waiter *waiters; /* destroy requests */
	bool frozen;
	uint32_t freeze_request; /* answered when the group says so; 0: none */
	uint64_t freeze_began;
	struct fresh *fresh; /* volumes that are being made (sandbox_volumes.c) */
};

/* sandbox_table.c */
struct sandbox *sandbox_find(struct engine *engine, const char *id);
void table_add(struct engine *engine, struct sandbox *sandbox);
void table_remove(struct engine *engine, struct sandbox *sandbox);
/* Until a freeze or a connection that is under way has ended. */
void sandbox_needs_ticks(struct engine *engine, struct sandbox *sandbox);

void sandbox_kill(struct engine *engine, struct sandbox *sandbox);

/* Answers with `not_found` and gives NULL when none of that id runs. */
struct sandbox *sandbox_find_running(struct engine *engine, const struct message *message);

/* The same, and not frozen: pid 1 would not answer. */
struct sandbox *sandbox_find_awake(struct engine *engine, const struct message *message);

/* sandbox_start.c: they are there, and directories. */
int check_layers(const struct engine *engine, const char *const *names, size_t count);

/* sandbox_start.c: the child has its own descriptors by now, or is gone. */
void held_release(struct sandbox *sandbox);

/* sandbox_pending.c */
struct pending *pending_add(struct sandbox *sandbox, enum asked what, uint32_t request,
                            const char *name);
/* What pid 1 says of one; `fd` (or -1) stays the caller's. */
void pending_report(struct engine *engine, struct sandbox *sandbox, const struct report *report,
                    pid_t sender, int fd);
void pending_free(struct engine *engine, struct sandbox *sandbox);

/* sandbox_freeze.c */
void freeze_done(struct engine *engine, struct sandbox *sandbox, const struct pending *pending);
void freeze_tick(struct engine *engine, struct sandbox *sandbox);
/* A killed process of a frozen cgroup (v1) does not die before it is thawed. */
void freeze_let_die(struct engine *engine, struct sandbox *sandbox);

/* sandbox_connect.c */
void connect_wait(struct engine *engine, struct sandbox *sandbox, const struct pending *pending,
                  int fd);
void connect_tick(struct engine *engine, struct sandbox *sandbox);
void connect_free(struct engine *engine, struct sandbox *sandbox);

/* sandbox_volumes.c: makes the directories of those that are missing, under other names ... */
int volumes_prepare(struct engine *engine, struct sandbox *sandbox, struct spec *spec);
/* ... gives them their names once they are filled, and lets the child go on ... */
void volumes_publish(struct engine *engine, struct sandbox *sandbox);
/* ... and removes those that got none. */
void volumes_free(struct engine *engine, struct sandbox *sandbox);

/* Callbacks of the loop. */
void sandbox_process_ended(struct engine *engine, struct source *source);
void sandbox_commands_ready(struct engine *engine, struct source *source);
void sandbox_memory_exceeded(struct engine *engine, struct source *source);

#endif
