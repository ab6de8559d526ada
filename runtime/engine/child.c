/*
 * The child between clone3 and its life as pid 1: one list of named steps, in
 * the only order that works. A step that fails ends the sandbox, and its fault
 * is the whole answer; the namespaces take with them all that was mounted.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "idmap.h"
#include "init.h"
#include "mounts.h"
#include "zygote.h"

static int wait_for_go(const struct child_plan *plan)
{
	struct command command;
	/* The maps are written by then; the end of the connection means the engine gave up. */
	if (recv(plan->commands, &command, sizeof(command), 0) != (ssize_t)sizeof(command))
		_exit(1);
	return 0;
}

/*
 * The descriptors are still the engine's own, not copies: only the lowest of them are copied,
 * however many sandboxes there are (park_fd). Until then nothing may be opened or closed here.
 */
static int keep_only_own_descriptors(const struct child_plan *plan)
{
	int keep[7 + V1_CONTROLLERS] = { plan->engine_pidfd, plan->commands, plan->control,
		                             plan->logs, plan->input, plan->places, plan->zygote };
	int last = 2;
	memcpy(keep + 7, plan->group->tasks, sizeof(plan->group->tasks));
	for (size_t i = 0; i < ARRAY_LENGTH(keep); i++)
		last = keep[i] > last ? keep[i] : last;
	if (close_range((unsigned)last + 1, ~0U, CLOSE_RANGE_UNSHARE))
		return fault("descriptors", "a table of its own");
	close_all_but(keep, ARRAY_LENGTH(keep));
	plan->group->directory = -1; /* closed with the rest */
	return 0;
}

/* While they are the caller's to take, and before anything needs /proc. */
static int take_places(const struct child_plan *plan)
{
	if (sandbox_take_places(plan->places))
		return -1;
	return close(plan->places) ? fault("descriptors", "close") : 0;
}

static int join_limits(const struct child_plan *plan)
{
	if (plan->limits->mode->join(plan->group))
		return -1;
	if (plan->zygote < 0)
		limits_close_handles(plan->group);
	/* Only now, so that the sandbox's own group is the root of what it sees. */
	return unshare(CLONE_NEWCGROUP) ? fault("cgroup", "cgroup namespace") : 0;
}

/* While /proc/self still belongs to the worker's uid. */
static int offer_to_oom_killer(const struct child_plan *plan)
{
	(void)plan;
	return write_at(AT_FDCWD, "/proc/self/oom_score_adj", "1000")
	               ? fault("oom-score", "/proc/self/oom_score_adj")
	               : 0;
}

static int become_root_inside(const struct child_plan *plan)
{
	unsigned id = plan->single && plan->spec->profile == PROFILE_FUNCTION ? FUNCTION_ID : 0;
	umask(022);
	if (!plan->single && setgroups(0, NULL))
		return fault("identity", "setgroups");
	if (setresgid(id, id, id) || setresuid(id, id, id))
		return fault("identity", "become uid %u", id);
	return 0;
}

static int set_up_network(const struct child_plan *plan)
{
	struct net_sockets sockets = { { -1, -1 }, { -1, -1 } };
	struct report message = { .type = REPORT_NET };
	if (!plan->has_network && net_loopback_up())
		return -1;
	if (!plan->spec->egress)
		return 0;
	int bad = net_egress(&sockets);
	int all[4] = { sockets.tcp[0], sockets.tcp[1], sockets.udp[0], sockets.udp[1] };
	if (!bad && send_with_fds(plan->commands, &message, sizeof(message), all, 4))
		bad = fault("network", "hand over the sockets");
	for (int i = 0; i < 4; i++)
		close_fd(&all[i]);
	return bad;
}

static int set_hostname(const struct child_plan *plan)
{
	const char *name = plan->spec->hostname ? plan->spec->hostname : "wafer";
	return sethostname(name, strlen(name)) ? fault("hostname", "%s", name) : 0;
}

static int build_root(const struct child_plan *plan)
{
	return sandbox_mounts(plan->spec, plan->commands);
}

static int enter_root(const struct child_plan *plan)
{
	(void)plan;
	return sandbox_enter_root();
}

static bool is_empty(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	size_t entries = 0;
	if (!directory)
		return false;
	while (entries < 3 && readdir(directory))
		entries++;
	closedir(directory);
	return entries == 2; /* itself and its parent */
}

/* A function that begins without code may get it later, once: for `attach`, which can not open them from outside. */
static int hand_over_code_point(const struct child_plan *plan)
{
	const struct report message = { .type = REPORT_CODE_POINT };
	if (plan->spec->code_count || plan->spec->upper || !is_empty("/function"))
		return 0;
	cleanup_fd int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	cleanup_fd int point = open("/function", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int secrets = open("/run/secrets", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int all[4] = { mounts, point, tmp, secrets };
	if (mounts < 0 || point < 0 || tmp < 0 || secrets < 0 ||
	    send_with_fds(plan->commands, &message, sizeof(message), all, 4))
		return fault("namespaces", "hand over the place of the code");
	return 0;
}

/* For volumes that are shown, and changed, while it runs. */
static int hand_over_points(const struct child_plan *plan)
{
	const struct report message = { .type = REPORT_POINTS };
	if (!plan->spec->point_count)
		return 0;
	cleanup_fd int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	cleanup_fd int points = open("/" POINTS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int both[2] = { mounts, points };
	if (mounts < 0 || points < 0 ||
	    send_with_fds(plan->commands, &message, sizeof(message), both, 2))
		return fault("namespaces", "hand over the places of volumes");
	return 0;
}

/*
 * For the engine's jobs in this sandbox, which can not have them from outside: this process
 * can not be looked into. Functions need none of it.
 */
static int hand_over_namespaces(const struct child_plan *plan)
{
	const struct report message = { .type = REPORT_NAMESPACES };
	if (plan->spec->profile == PROFILE_FUNCTION)
		return hand_over_points(plan) || hand_over_code_point(plan) ? -1 : 0;
	cleanup_fd int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	cleanup_fd int users = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	int both[2] = { mounts, users };
	if (mounts < 0 || users < 0 ||
	    send_with_fds(plan->commands, &message, sizeof(message), both, 2))
		return fault("namespaces", "hand over");
	return 0;
}

/* Die with the engine. Credentials do not change any more: that would clear it. */
static int tie_to_engine(const struct child_plan *plan)
{
	struct pollfd engine = { plan->engine_pidfd, POLLIN, 0 };
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) || setsid() < 0)
		return fault("tie", "prctl");
	/* It may have died just before. */
	if (poll(&engine, 1, 0) != 0)
		_exit(1);
	close(plan->engine_pidfd);
	return 0;
}

/* For a program that a zygote makes. */
static int open_namespaces(const struct child_plan *plan)
{
	return plan->zygote < 0 ? 0 : zygote_open_namespaces();
}

static int confine(const struct child_plan *plan)
{
	/* Pid 1 has to signal a program that does not inherit from it; then each program is scoped by itself. */
	int what = plan->zygote < 0 ? CONFINE_FILES | CONFINE_SCOPE : CONFINE_FILES;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fault("confine", "no_new_privs");
	/* Everything that is started later inherits these. */
	if (landlock_confine(plan->landlock_abi, plan->spec, what) ||
	    caps_confine_init(plan->spec->profile))
		return -1;
	return filters_load(plan->filters);
}

static int (*const steps[])(const struct child_plan *) = {
	keep_only_own_descriptors, wait_for_go,    join_limits,  take_places, offer_to_oom_killer,
	become_root_inside,        set_up_network, set_hostname, build_root,  enter_root,
	hand_over_namespaces,      open_namespaces, tie_to_engine, confine,
};

_Noreturn void sandbox_child(struct child_plan *plan)
{
	struct report message = { .type = REPORT_FAULT };
	struct init init = { plan->spec,  plan->single, plan->commands,
		                 plan->group, plan->zygote, plan->landlock_abi };
	uint64_t began = now_us();
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		if (steps[i](plan)) {
			message.fault = last_fault;
			send_with_fds(plan->commands, &message, sizeof(message), NULL, 0);
			_exit(1);
		}
		if (steps[i] == wait_for_go)
			began = now_us();
	}
	uint64_t mounted = now_us();
	message = (struct report){ .type = REPORT_MOUNTED, .value = (int64_t)(mounted - began) };
	send_with_fds(plan->commands, &message, sizeof(message), NULL, 0);
	init_run(&init, (struct streams){ plan->control, plan->logs, plan->input }, mounted);
}
