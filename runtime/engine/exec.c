/* Starting a program inside: descriptors, limits, user, capabilities, directory, exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "idmap.h"
#include "init.h"

#define STEP "exec"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CONTROL_FD 3
#define STACK_SIZE (64 << 10)

static int set_descriptors(const struct start *start)
{
	int keep[1] = { CONTROL_FD };
	/* Out of the way of 0-3 first. */
	int out = fcntl(start->out, F_DUPFD_CLOEXEC, 16);
	int err = fcntl(start->err, F_DUPFD_CLOEXEC, 16);
	int control = start->control < 0 ? -1 : fcntl(start->control, F_DUPFD_CLOEXEC, 16);
	int in = start->in < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
	                       : fcntl(start->in, F_DUPFD_CLOEXEC, 16);
	if (out < 0 || err < 0 || in < 0 || (start->control >= 0 && control < 0))
		return fault(STEP, "descriptors");
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    (control >= 0 && dup2(control, CONTROL_FD) < 0))
		return fault(STEP, "descriptors");
	close_all_but(keep, control >= 0 ? 1 : 0);
	return 0;
}

/* A function is always its one user; others are root, or the user that they name. */
static int become_user(const struct init *init, const struct user *named)
{
	struct user user = { 0 };
	if (named->given)
		user = *named;
	if (init->spec->profile == PROFILE_FUNCTION) {
		if (named->given)
			return refuse(STEP, "user is for builds and containers only");
		user.uid = user.gid = FUNCTION_ID;
	}
	if (caps_before_identity(init->spec->profile))
		return -1;
	/* A single-id map has no setgroups, and no other id to become. */
	if (init->single && init->spec->profile != PROFILE_FUNCTION && (user.uid || user.gid))
		return refuse(STEP, "this machine has no subordinate ids: there is no uid %u", user.uid);
	if (!init->single &&
	    (setgroups(user.group_count, user.groups) || setresgid(user.gid, user.gid, user.gid) ||
	     setresuid(user.uid, user.uid, user.uid)))
		return fault(STEP, "become uid %u gid %u", user.uid, user.gid);
	return caps_after_identity(init->spec->profile, user.uid == 0);
}

/* The session's terminal is its user's, who may open it again by name. */
static int take_terminal(const struct init *init, const struct start *start)
{
	if (!start->program->terminal.given)
		return 0;
	if (ioctl(start->in, TIOCSCTTY, 0))
		return fault(STEP, "make the terminal the controlling one");
	/* Init of a function may not give files away; its program has the descriptors. */
	if (init->spec->profile != PROFILE_FUNCTION &&
	    fchown(start->in, start->program->user.uid, (gid_t)-1))
		return fault(STEP, "give the terminal to uid %u", start->program->user.uid);
	return 0;
}

static int enter_directory(const char *cwd)
{
	char now[4096];
	if (chdir(cwd))
		return fault(STEP, "working directory %s", cwd);
	/* "(unreachable)..." would mean a directory outside of this root. */
	if (!getcwd(now, sizeof(now)) || now[0] != '/')
		return refuse(STEP, "working directory %s is not inside the root", cwd);
	return 0;
}

static const char *path_of(char *const *environment)
{
	for (; *environment; environment++)
		if (!strncmp(*environment, "PATH=", 5))
			return *environment + 5;
	return DEFAULT_PATH;
}

/* execve along PATH; errno is the most telling one. */
static void execute(char *const *argv, char *const *environment)
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
	sigset_t none;
	if (setsid() < 0)
		return fault(STEP, "setsid");
	if (take_terminal(init, start) || set_descriptors(start) ||
	    rlimits_confine(init->spec) || become_user(init, &program->user) ||
	    enter_directory(program->cwd))
		return -1;
	umask(init->spec->profile == PROFILE_FUNCTION ? 077 : 022);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL))
		return fault(STEP, "signals");
	execute(argv, environment);
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
