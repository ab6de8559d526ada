/* The engine's side of one sandbox. sandbox_start.c makes it, sandbox.c follows its life and
 * end, sandbox_exec.c its programs, sandbox_request.c serves what else is asked of it. */
#ifndef WAFER_SANDBOX_H
#define WAFER_SANDBOX_H

#include "engine.h"
#include "init.h"

/* A program that was started by `exec`; from the request to its end. */
struct pending_exec {
	struct pending_exec *next;
	uint32_t number, request; /* request 0: answered */
	pid_t pid;
	bool terminal;
	char name[NAME_LENGTH + 1];
};

struct waiter {
	struct waiter *next;
	uint32_t request;
};

enum state { STARTING, RUNNING, LEAVING };

struct sandbox {
	struct sandbox *next;
	char id[NAME_LENGTH + 1];
	enum state state;
	uint32_t create_request;
	pid_t pid;
	unsigned private_id;
	struct limits_group group;
	struct source process, commands, oom; /* fd -1: none */
	uint64_t clone_us, mounts_us, exec_us;
	struct fault fault;   /* why it did not start */
	bool has_status, oom_seen, killed, egress, parked, terminal;
	int status;           /* wait status of the first program */
	int64_t cpu_us;       /* from rusage, where no group counts */
	struct usage last;    /* taken just before the group goes */
	uint32_t exec_count;
	struct pending_exec *execs;
	struct waiter *waiters; /* destroy requests */
};

struct sandbox *sandbox_find(const struct engine *engine, const char *id);
void sandbox_kill(struct sandbox *sandbox);

/* Answers with `not_found` and gives NULL when none of that id runs. */
struct sandbox *sandbox_find_running(struct engine *engine, const struct message *message);

/* sandbox_exec.c: what pid 1 says of such a program; and their end, with the sandbox's. */
void exec_report(struct engine *engine, struct sandbox *sandbox, const struct report *report,
                 pid_t sender);
void execs_free(struct engine *engine, struct sandbox *sandbox);

/* Callbacks of the loop. */
void sandbox_process_ended(struct engine *engine, struct source *source);
void sandbox_commands_ready(struct engine *engine, struct source *source);
void sandbox_memory_exceeded(struct engine *engine, struct source *source);

#endif
