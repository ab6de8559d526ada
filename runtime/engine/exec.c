/* Starting a program inside: a process that becomes it (become.c), then exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define STEP "exec"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define STACK_SIZE (64 << 10)

static const char *path_of(char *const *environment)
{
	for (; *environment; environment++)
		if (!strncmp(*environment, "PATH=", 5))
			return *environment + 5;
	return DEFAULT_PATH;
}

void execute_along_path(char *const *argv, char *const *environment)
{
	char file[4096];
	int telling = ENOENT;
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, environment);
		return;
	}
	for (const char *at = path_of(environment); *at; at += *at == ':') {
		size_t length = strcspn(at, ":");
		if (snprintf(file, sizeof(file), "%.*s/%s", (int)length, at, argv[0]) <
		    (int)sizeof(file)) {
			execve(file, argv, environment);
			if (errno != ENOENT && errno != ENOTDIR)
				telling = errno;
		}
		at += length;
	}
	errno = telling;
}

static int explain(const char *name)
{
	int error = errno;
	if (error == ENOENT && strchr(name, '/') && !access(name, F_OK))
		return refuse(STEP, "%s: its interpreter or loader does not exist in this image", name);
	errno = error;
	if (error == ENOEXEC)
		return refuse(STEP, "%s: not a program of this machine (wrong architecture, or no #! line)",
		              name);
	return fault(STEP, "%s", name);
}

static int run(const struct init *init, const struct start *start)
{
	const struct program *program = start->program;
	char *const *argv = (char *const *)(uintptr_t)program->argv;
	char *const *environment = (char *const *)(uintptr_t)program->envp;
	if (program_become(init, start, NULL))
		return -1;
	if (init->zygote >= 0 && landlock_confine(init->landlock_abi, init->spec, CONFINE_SCOPE))
		return -1;
	execute_along_path(argv, environment);
	return explain(argv[0]);
}

/* What init and the program's process have in common until exec. */
struct launch {
	const struct init *init;
	const struct start *start;
	volatile bool failed; /* `last_fault` says why */
};

static int program_child(void *argument)
{
	struct launch *launch = argument;
	struct report starting = { .type = REPORT_STARTING, .number = launch->start->number };
	if (launch->start->number)
		send_with_fds(launch->init->commands, &starting, sizeof(starting), NULL, 0);
	run(launch->init, launch->start);
	launch->failed = true;
	_exit(127);
}

/*
 * As vfork does it: until exec the child runs in init's memory, and init stands still. There is
 * nothing to copy, and nothing to tell. Neither can be looked into from inside meanwhile: this
 * memory is not dumpable, whatever the uid.
 */
pid_t program_start(const struct init *init, const struct start *start)
{
	struct launch launch = { init, start, false };
	cleanup_free char *stack = malloc(STACK_SIZE);
	if (!stack)
		return fault(STEP, "stack");
	pid_t pid =
		clone(program_child, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, &launch);
	if (pid < 0)
		return fault(STEP, "clone");
	if (!launch.failed)
		return pid;
	waitpid(pid, NULL, 0);
	return -1;
}
