/*
 * wafer-engine: makes rootless sandboxes for one worker. Theory of operation.
 *
 * The worker starts the engine with a connected socket at descriptor 3 and
 * talks frames over it (protocol.md). The engine enters one user namespace that
 * maps the worker's subordinate ids (idmap.c), moves into a small root of its
 * own from which the host can not be reached (root.c), and then serves requests
 * from one epoll loop (loop.c) that never waits for a sandbox, a disk, or the
 * worker.
 *
 *   worker --fd 3--> engine (root inside its user namespace only)
 *                      |- relay      (relay.c: egress of all sandboxes; no privilege)
 *                      |- helper     (net_stock.c: makes net namespaces ahead)
 *                      |- job ...    (jobs.c: layers, uppers, files of live sandboxes; each in a jail)
 *                      `- pid 1 of each sandbox (child.c, then init.c)
 *                           `- the program and what it starts (exec.c)
 *
 * A sandbox is born by one clone3 with all namespaces (sandbox_start.c), out of
 * an empty mount namespace (bare.c). The engine writes its id maps and says go;
 * the child does a list of steps (child.c): limits, ids, network, root
 * (mounts.c, devices.c), Landlock, capabilities, seccomp; then it is pid 1 and
 * starts the program. What goes wrong is reported as step and text; then the
 * child exits and its namespaces take everything with them. There is nothing to
 * undo on the host but a cgroup.
 *
 * None of that takes longer when there are more sandboxes, or more processes on
 * the machine (`make bench` shows it): nothing is searched in a list, nothing is
 * inherited that belongs to another sandbox (park_fd), and none of the kernel's
 * own walks is on the way (bare.c: pivot_root; rlimits.c: /proc/sys/user). What
 * is left is a limit of `cpu`: the kernel looks at all groups when one is set.
 * Groups and net namespaces are made ahead, and groups removed behind
 * (limits_stock.c, net_stock.c), when there is nothing else to do.
 *
 * Everything dies with the engine: each child is tied to it by a parent-death
 * signal, and every process of a sandbox dies with its pid 1. The engine ends
 * when descriptor 3 does.
 *
 * The worker is trusted with what it asks for (it can do all of it anyway as
 * the same user); everything inside a layer, an upper and a sandbox is hostile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "jobs.h"
#include "mounts.h"

#define CONTROL_FD 3

struct arguments {
	struct places places;
	const char *limits;
};

static int parse_arguments(struct arguments *arguments, int count, char **values)
{
	static const struct option options[] = {
		{ "layers", required_argument, NULL, 'l' },
		{ "work", required_argument, NULL, 'w' },
		{ "volumes", required_argument, NULL, 'v' },
		{ "host-socket", required_argument, NULL, 's' },
		{ "limits", required_argument, NULL, 'm' },
		{ "languages", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	struct places *places = &arguments->places;
	int option;
	arguments->limits = "auto";
	while ((option = getopt_long(count, values, "", options, NULL)) != -1) {
		const char **const targets[] = { ['l'] = &places->layers,      ['w'] = &places->work,
			                             ['s'] = &places->host_socket, ['m'] = &arguments->limits,
			                             ['r'] = &places->languages,
			                             ['v'] = &places->volumes };
		if (option == '?' || option == ':')
			return refuse("arguments", "unknown argument");
		*targets[option] = optarg;
	}
	if (!places->layers || !places->work || !places->volumes || !places->host_socket ||
	    !places->languages)
		return refuse("arguments", "--layers, --work, --volumes, --host-socket and --languages are "
		                           "needed");
	return 0;
}

static _Noreturn void fatal(struct engine *engine)
{
	size_t begin = frame_begin(&engine->out, 0);
	frame_field(&engine->out, "event", "fatal");
	frame_field(&engine->out, "step", "%s", last_fault.step);
	frame_field(&engine->out, "message", "%s", last_fault.message);
	frame_end(&engine->out, begin);
	sandboxes_let_die(engine);
	fprintf(stderr, "wafer-engine: %s: %s\n", last_fault.step, last_fault.message);
	/* Blocking is fine now; that nobody reads any more is fine too. */
	if (write_whole(CONTROL_FD, engine->out.data, engine->out.length))
		fprintf(stderr, "wafer-engine: the worker did not take the last message\n");
	exit(1);
}

static int check_start(void)
{
	struct stat status;
	struct rlimit files;
	if (fstat(CONTROL_FD, &status) || !S_ISSOCK(status.st_mode))
		return refuse("start", "descriptor 3 is not a socket; the worker starts this program");
	if (geteuid() == 0 || getuid() == 0)
		return refuse("start", "refusing to run as root; use an ordinary user");
	close_range(CONTROL_FD + 1, ~0U, 0);
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	/* A keyring without the worker's keys for all that descends from here. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return fault("start", "session keyring");
	if (getrlimit(RLIMIT_NOFILE, &files))
		return fault("start", "nofile");
	files.rlim_cur = files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) ? fault("start", "nofile") : 0;
}

/* Time namespaces are young: find out once, by making one. */
static bool has_time_namespace(void)
{
	int pidfd = -1;
	pid_t pid = spawn(CLONE_NEWTIME, &pidfd, -1);
	if (pid == 0)
		_exit(0);
	siginfo_t end;
	bool works = pid > 0 && !waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED);
	close_fd(&pidfd);
	return works;
}

static int set_host_address(struct engine *engine, const char *path)
{
	cleanup_free char *copy = need_format("%s", path);
	engine->host.sun_family = AF_UNIX;
	int length = snprintf(engine->host.sun_path, sizeof(engine->host.sun_path), PLACE_RUN "/%s",
	                      basename(copy));
	return length < (int)sizeof(engine->host.sun_path)
	               ? 0
	               : refuse("arguments", "the name of --host-socket is too long");
}

static int open_places(struct engine *engine)
{
	engine->layers = open(PLACE_LAYERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	engine->work = open(PLACE_WORK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	engine->volumes = open(PLACE_VOLUMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	engine->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	engine->mounts = openat(engine->procfd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	engine->self_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	engine->limits.procfd = engine->procfd;
	if (engine->layers < 0 || engine->work < 0 || engine->volumes < 0 || engine->procfd < 0 || engine->mounts < 0 ||
	    engine->self_pidfd < 0 || engine->epoll < 0)
		return fault("start", "the engine's own places");
	return 0;
}

static void relay_ended(struct engine *engine, struct source *source)
{
	(void)source;
	refuse("relay", "the egress relay ended; sandboxes with egress can not go on");
	fatal(engine);
}

static _Noreturn void relay_child(const struct engine *engine, int sock)
{
	struct pollfd alive = { engine->self_pidfd, POLLIN, 0 };
	int keep[] = { sock };
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || poll(&alive, 1, 0) != 0)
		_exit(1);
	close_all_but(keep, 1);
	relay_main(sock, engine->host.sun_path);
}

static int start_relay(struct engine *engine)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fault("relay", "socketpair");
	engine->relay_source = (struct source){ -1, relay_ended };
	engine->relay_pid = spawn(0, &engine->relay_source.fd, -1);
	if (engine->relay_pid == 0)
		relay_child(engine, pair[1]);
	close(pair[1]);
	engine->relay = pair[0];
	if (engine->relay_pid < 0 || loop_watch(engine, &engine->relay_source))
		return fault("relay", "fork");
	return 0;
}

static void send_ready(struct engine *engine)
{
	size_t begin = frame_begin(&engine->out, 0);
	frame_field(&engine->out, "event", "ready");
	frame_field(&engine->out, "version", "1");
	frame_field(&engine->out, "ids", engine->ids.single ? "single" : "range");
	frame_field(&engine->out, "ids_first", "%u", engine->ids.first);
	frame_field(&engine->out, "ids_count", "%u", engine->ids.count);
	if (engine->ids.single)
		frame_field(&engine->out, "ids_detail", "%s", engine->ids.detail);
	frame_field(&engine->out, "limits", "%s", engine->limits.mode->name);
	frame_field(&engine->out, "limits_detail", "%s", engine->limits.detail);
	frame_field(&engine->out, "limits_memory", "%s", engine->limits.memory_path);
	frame_field(&engine->out, "limits_cpu", "%s", engine->limits.cpu_path);
	frame_field(&engine->out, "landlock", "%d", engine->landlock_abi);
	frame_field(&engine->out, "seccomp_hash", "%s", engine->filters.hash);
	frame_field(&engine->out, "overlay", "1");
	frame_field(&engine->out, "pid", "%d", getpid());
	frame_end(&engine->out, begin);
}

static int start(struct engine *engine, int count, char **values)
{
	struct arguments arguments = { 0 };
	if (check_start() || parse_arguments(&arguments, count, values))
		return -1;
	engine->host_layers = root_open_host(arguments.places.layers);
	engine->host_work = root_open_host(arguments.places.work);
	if (engine->host_layers < 0 || engine->host_work < 0)
		return -1;
	if (limits_probe(&engine->limits, arguments.limits) || ids_enter(&engine->ids) ||
	    root_enter(&arguments.places, &engine->ids))
		return -1;
	/* newuidmap was the last program with privilege that had to run. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fault("start", "no_new_privs");
	engine->landlock_abi = landlock_abi();
	engine->time_namespace = has_time_namespace();
	if (set_host_address(engine, arguments.places.host_socket) || open_places(engine) ||
	    filters_compile(&engine->filters))
		return -1;
	engine->bare = bare_open(engine);
	return engine->bare < 0 || start_relay(engine) || net_stock_start(engine) ? -1 : 0;
}

int main(int count, char **values)
{
	static struct engine engine = { .control = CONTROL_FD };
	if (start(&engine, count, values))
		fatal(&engine);
	send_ready(&engine);
	loop_run(&engine);
}
