/*
 * Zygotes: a booted language runtime that forks itself into sandboxes, so that these need
 * not boot one. Theory of operation.
 *
 *   engine --zygote.c--> zygote (the base image's own program; no code of a function, ever)
 *      |                    `- forkserver/serve.c, loaded into it, waits for requests
 *      `- pid 1 of a sandbox --zygote_client.c--> asks for its first program
 *
 * The sandbox is made as every other one, by the engine. Only when its pid 1 would fork and
 * execute the first program it sends the zygote its namespaces, its cgroups and the
 * program's descriptors instead. The zygote forks; the child enters all of them, forks
 * again to be in the namespace of processes, and does to itself what pid 1 did to itself
 * and what a program goes through before its exec, by the same code (become.c, caps.c,
 * landlock.c, rlimits.c, seccomp_load.c). What is left is a child of pid 1 like any other,
 * with a copy of the zygote's memory. Where no zygote answers, pid 1 executes the program.
 */
#ifndef WAFER_ZYGOTE_H
#define WAFER_ZYGOTE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "limits.h"
#include "util.h"

/* A zygote's own descriptors. */
#define ZYGOTE_SOCKET 3   /* SOCK_SEQPACKET: says one report, takes requests */
#define ZYGOTE_SETTINGS 4 /* a memfd: struct zygote_settings, then the two filters */

struct zygote_settings {
	int32_t landlock_abi;
	uint32_t single, allow_length, deny_length;
};

/* Zygote to engine, once: "" when it is ready, else why it can not be one. */
struct zygote_report {
	char message[256];
};

/* What comes with a request, in this order; then the time namespace, if there is one, then the cgroups. */
enum zygote_descriptor {
	ZYGOTE_ANSWER,
	ZYGOTE_CONTROL,
	ZYGOTE_OUT,
	ZYGOTE_ERR,
	ZYGOTE_PIDS,
	ZYGOTE_NET,
	ZYGOTE_IPC,
	ZYGOTE_UTS,
	ZYGOTE_CGROUP,
	ZYGOTE_MOUNTS,
	ZYGOTE_USERS,
	ZYGOTE_FIXED,
};
#define ZYGOTE_DESCRIPTORS (ZYGOTE_FIXED + 1 + V1_CONTROLLERS)

struct zygote_request {
	uint64_t pids, nofile, fsize;
	uint32_t has_time, groups;
	char cwd[1024];
};

/* Through the pipe ZYGOTE_ANSWER; its end without one means that nothing was started. */
struct zygote_answer {
	int32_t pid; /* in the sandbox; -1: see fault */
	struct fault fault;
};

/* zygote.c, the engine's side: one of the engine's children. */
struct engine;
struct message;
struct zygote;
void zygote_start(struct engine *engine, const struct message *message);
void zygote_end(struct engine *engine, const struct message *message);
/* Where sandboxes of it send their requests, for the caller to close; -1 when there is none of that name. */
int zygote_socket(const struct engine *engine, const char *name);
unsigned zygote_count(const struct engine *engine);

/* zygote_client.c, pid 1's side: first while /proc/self can still be looked into ... */
int zygote_open_namespaces(void);
/* ... then instead of a fork and exec. The pid; -1: nothing runs; ZYGOTE_STUCK: something may. Closes what is needed for it. */
#define ZYGOTE_STUCK (-2)
struct init;
struct start;
pid_t zygote_fork(const struct init *init, const struct start *start);

#endif
