/* Pid 1 of a sandbox and the words it exchanges with the engine over a SOCK_SEQPACKET pair. */
#ifndef WAFER_INIT_H
#define WAFER_INIT_H

#include <stdbool.h>
#include <stdint.h>

#include "confine.h"
#include "limits.h"
#include "util.h"

enum report_type {
	REPORT_NET,      /* with the four sockets of net_egress */
	REPORT_MOUNTED,  /* value: microseconds since the go */
	REPORT_STARTED,  /* program `number` has been exec'ed; value: microseconds */
	REPORT_FAULT,    /* program `number` (0: the sandbox) could not be started */
	REPORT_STARTING, /* an exec's process, whose pid the kernel attaches */
	REPORT_FORKED,   /* value 1: a zygote made the first program; 0: it could not, see fault */
	REPORT_EXIT,     /* program `number` ended; value: its wait status */
	REPORT_NAMESPACES, /* with those of mounts and users */
	REPORT_CODE_POINT, /* with the namespace of mounts, its empty /function, /tmp, /run/secrets */
	REPORT_POINTS,   /* with the namespace of mounts, and its /.volumes */
	REPORT_VOLUMES,  /* new volumes are filled; waits for COMMAND_GO */
	REPORT_DONE,     /* a signal to all was sent; a connection is being made, with its socket */
};

struct report {
	uint32_t type, number;
	int64_t value;
	struct fault fault;
};

enum command_type { COMMAND_GO, COMMAND_EXEC, COMMAND_SIGNAL, COMMAND_RESIZE, COMMAND_CONNECT };

/*
 * `number` is of the program that is meant; 0 is the first one. COMMAND_EXEC carries
 * a memfd with the request's body, then the connections that it says it has. With
 * COMMAND_CONNECT and a signal to all, `number` is that of the report which answers.
 */
struct command {
	uint32_t type, number;
	int32_t signal;
	bool all, has_logs, has_input;
	uint16_t rows, columns, port;
};

struct child_plan {
	const struct spec *spec;
	const struct seccomp_filters *filters;
	struct limits *limits;
	struct limits_group *group;
	int landlock_abi;
	bool single, has_network;
	int engine_pidfd, commands, control, logs, input;
	int zygote; /* where its requests go; -1: without one */
	int places; /* the engine's /w, as a detached tree */
};

/* The child after clone3; never returns. */
_Noreturn void sandbox_child(struct child_plan *plan);

/* init.c: runs the programs until the first one has ended. */
struct init {
	const struct spec *spec;
	bool single;
	int commands;
	struct limits_group *group;
	int zygote; /* -1: none */
	int landlock_abi;
};
/* The first program's connections; -1: none. */
struct streams {
	int control, logs, input;
};
_Noreturn void init_run(const struct init *init, struct streams streams, uint64_t since);

/* become.c: everything but the exec. `report` (or NULL) stays open, as another descriptor. */
struct start;
int program_become(const struct init *init, const struct start *start, int *report);

/* execve along the environment's PATH; returns with the most telling errno. */
void execute_along_path(char *const *argv, char *const *environment);

/* exec.c: clones and executes; returns the pid after exec has succeeded, or -1. */
struct start {
	const struct program *program;
	uint32_t number;
	int control, in, out, err; /* control and in may be -1; a terminal is all three */
};
pid_t program_start(const struct init *init, const struct start *start);

#endif
