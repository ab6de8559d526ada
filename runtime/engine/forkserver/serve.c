/*
 * The part of a zygote that is in its own process: a shared object that the language's
 * bootstrap loads and calls when everything is imported (zygote.h has the whole story).
 *
 * The call returns in the children only, each the first program of a sandbox, with
 * descriptors 0 to 3 as an executed program has them. The zygote itself stays in the loop,
 * which touches no memory of the language: what its children share stays shared.
 *
 * It is linked against nothing. The C library is the one of the process it is loaded into,
 * so only functions that every C library has are used here and in what is linked with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../confine.h"
#include "../init.h"
#include "../zygote.h"

#define STEP "zygote"

static struct zygote_settings settings;
static struct seccomp_filters filters;

/* Returns in children only: 0, or -1 when there can not be any (see wafer_zygote_failed). */
int wafer_zygote_serve(void);
/* Instead: tells the engine why the language can not be one, and ends. */
void wafer_zygote_failed(const char *message);

static int read_filter(struct sock_fprog *program, uint32_t length)
{
	size_t bytes = length * sizeof(struct sock_filter);
	program->len = (unsigned short)length;
	program->filter = need_memory(bytes);
	return read(ZYGOTE_SETTINGS, program->filter, bytes) == (ssize_t)bytes ? 0 : -1;
}

static int read_settings(void)
{
	if (read(ZYGOTE_SETTINGS, &settings, sizeof(settings)) != (ssize_t)sizeof(settings) ||
	    read_filter(&filters.allow, settings.allow_length) ||
	    read_filter(&filters.deny, settings.deny_length))
		return fault(STEP, "settings");
	return close(ZYGOTE_SETTINGS);
}

static int join_groups(const int *groups, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (write_whole(groups[i], "0", 1))
			return fault(STEP, "join cgroup %u", i);
	return 0;
}

/* Users last: what is over all of these now is over only one sandbox then. */
static int enter_namespaces(const int *fds, const int *time)
{
	static const struct {
		enum zygote_descriptor at;
		int flag;
		const char *name;
	} namespaces[] = { { ZYGOTE_PIDS, CLONE_NEWPID, "pid" },   { ZYGOTE_NET, CLONE_NEWNET, "net" },
		               { ZYGOTE_IPC, CLONE_NEWIPC, "ipc" },    { ZYGOTE_UTS, CLONE_NEWUTS, "uts" },
		               { ZYGOTE_CGROUP, CLONE_NEWCGROUP, "cgroup" },
		               { ZYGOTE_MOUNTS, CLONE_NEWNS, "mnt" },  { ZYGOTE_USERS, CLONE_NEWUSER, "user" } };
	if (time && setns(*time, CLONE_NEWTIME))
		return fault(STEP, "enter the time namespace");
	for (size_t i = 0; i < ARRAY_LENGTH(namespaces); i++)
		if (setns(fds[namespaces[i].at], namespaces[i].flag))
			return fault(STEP, "enter the %s namespace", namespaces[i].name);
	return 0;
}

/*
 * A child of the sandbox's pid 1: the one between is in the sandbox when it ends, so its
 * orphan is pid 1's. 0 in the child, the error otherwise. The one between shares this
 * process's memory until it ends (vfork), and the child has its own when it returns from here.
 * It is waited for: as an orphan it would be the host's pid 1's to reap, which may do so late or
 * never, and a pid namespace does not end before all that were in it are reaped.
 */
static int fork_inside(void)
{
	volatile int error = 0;
	pid_t between = vfork();
	if (between == 0) {
		pid_t child = fork();
		if (child == 0)
			return 0;
		if (child < 0)
			error = errno;
		_exit(0);
	}
	if (between < 0)
		error = errno;
	else
		waitpid(between, NULL, 0); /* ECHILD in the end: SIGCHLD is ignored */
	errno = error;
	return error ? fault(STEP, "fork inside") : 1;
}

/* Root of the sandbox, as its pid 1 was, and then the same steps. */
static int confine(const struct spec *spec)
{
	if (!settings.single && (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0)))
		return fault(STEP, "become root inside");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fault(STEP, "no_new_privs");
	if (landlock_confine(settings.landlock_abi, spec, CONFINE_FILES | CONFINE_SCOPE) ||
	    caps_confine_init(spec->profile))
		return -1;
	return filters_load(&filters);
}

static int become_program(const struct zygote_request *request, int *fds)
{
	struct spec spec = { .profile = PROFILE_FUNCTION,
		                 .pids = request->pids,
		                 .nofile = request->nofile,
		                 .fsize = request->fsize,
		                 .program = { .cwd = request->cwd } };
	struct init init = { .spec = &spec, .single = settings.single, .commands = -1, .zygote = -1 };
	struct start start = { &spec.program, 0, fds[ZYGOTE_CONTROL], -1, fds[ZYGOTE_OUT],
		                   fds[ZYGOTE_ERR] };
	struct zygote_answer answer = { .pid = getpid() };
	int report = fds[ZYGOTE_ANSWER];
	signal(SIGCHLD, SIG_DFL);
	if (confine(&spec) || program_become(&init, &start, &report)) {
		fds[ZYGOTE_ANSWER] = report;
		return -1;
	}
	/* What an exec leaves behind: its own /proc entry is its user's, and broken pipes are errors (as Python starts). */
	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGPIPE, SIG_IGN);
	if (write_whole(report, &answer, sizeof(answer)))
		_exit(1);
	close(report);
	return 0;
}

/* In the zygote's child. Returns in the sandbox's program only. */
static int enter(const struct zygote_request *request, int *fds)
{
	const int *groups = fds + ZYGOTE_FIXED + (request->has_time ? 1 : 0);
	struct zygote_answer answer = { .pid = -1 };
	close(ZYGOTE_SOCKET);
	int bad = join_groups(groups, request->groups) ||
	          enter_namespaces(fds, request->has_time ? fds + ZYGOTE_FIXED : NULL);
	int forked = bad ? -1 : fork_inside();
	if (forked == 0 && !become_program(request, fds))
		return 0;
	if (forked <= 0) {
		answer.fault = last_fault;
		write_whole(fds[ZYGOTE_ANSWER], &answer, sizeof(answer));
	}
	_exit(0);
}

static void refuse_request(int answer)
{
	struct zygote_answer told = { .pid = -1 };
	fault(STEP, "fork");
	told.fault = last_fault;
	write_whole(answer, &told, sizeof(told));
}

static bool is_whole(const struct zygote_request *request, ssize_t got, const int *fds)
{
	size_t count = ZYGOTE_FIXED + (request->has_time ? 1 : 0) + request->groups;
	if (got != (ssize_t)sizeof(*request) || request->groups > V1_CONTROLLERS)
		return false;
	for (size_t i = 0; i < count; i++)
		if (fds[i] < 0)
			return false;
	return true;
}

static void tell_engine(const char *message)
{
	struct zygote_report report = { 0 };
	snprintf(report.message, sizeof(report.message), "%s", message);
	send(ZYGOTE_SOCKET, &report, sizeof(report), MSG_NOSIGNAL);
}

int wafer_zygote_serve(void)
{
	struct zygote_request request;
	int fds[ZYGOTE_DESCRIPTORS];
	if (read_settings())
		return -1;
	signal(SIGCHLD, SIG_IGN);
	tell_engine("");
	for (;;) {
		ssize_t got = receive_with_fds(ZYGOTE_SOCKET, &request, sizeof(request), fds,
		                               ZYGOTE_DESCRIPTORS, 0);
		if (got <= 0)
			_exit(0);
		pid_t pid = is_whole(&request, got, fds) ? fork() : 1;
		if (pid == 0)
			return enter(&request, fds);
		if (pid < 0)
			refuse_request(fds[ZYGOTE_ANSWER]);
		for (size_t i = 0; i < ZYGOTE_DESCRIPTORS; i++)
			close_fd(&fds[i]);
	}
}

void wafer_zygote_failed(const char *message)
{
	tell_engine(*message ? message : "no reason was given");
	_exit(1);
}
