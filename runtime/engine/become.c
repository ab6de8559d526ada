/*
 * What a process of a sandbox does between its birth and its program: session, descriptors,
 * limits, user, capabilities, directory, signals. For what init executes (exec.c) and for
 * what a zygote forks (forkserver/serve.c), so that both are the same.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "idmap.h"
#include "init.h"

#define STEP "exec"
#define CONTROL_FD 3

/* `report` (or NULL) is kept open, as another descriptor. */
static int set_descriptors(const struct start *start, int *report)
{
	int keep[2] = { -1, -1 };
	/* Out of the way of 0-3 first. */
	int moved = report ? fcntl(*report, F_DUPFD_CLOEXEC, 16) : -1;
	int out = fcntl(start->out, F_DUPFD_CLOEXEC, 16);
	int err = fcntl(start->err, F_DUPFD_CLOEXEC, 16);
	int control = start->control < 0 ? -1 : fcntl(start->control, F_DUPFD_CLOEXEC, 16);
	int in = start->in < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
	                       : fcntl(start->in, F_DUPFD_CLOEXEC, 16);
	if ((report && moved < 0) || out < 0 || err < 0 || in < 0 ||
	    (start->control >= 0 && control < 0))
		return fault(STEP, "descriptors");
	if (report)
		*report = moved;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    (control >= 0 && dup2(control, CONTROL_FD) < 0))
		return fault(STEP, "descriptors");
	keep[0] = moved;
	keep[1] = control >= 0 ? CONTROL_FD : -1;
	close_all_but(keep, 2);
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

int program_become(const struct init *init, const struct start *start, int *report)
{
	const struct program *program = start->program;
	sigset_t none;
	if (setsid() < 0)
		return fault(STEP, "setsid");
	if (take_terminal(init, start) || set_descriptors(start, report) ||
	    rlimits_confine(init->spec) || become_user(init, &program->user) ||
	    enter_directory(program->cwd))
		return -1;
	umask(init->spec->profile == PROFILE_FUNCTION ? 077 : 022);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) ? fault(STEP, "signals") : 0;
}
