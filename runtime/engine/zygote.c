/*
 * The engine's side of a zygote: starts it, knows when it is ready, sees its end.
 *
 * It is a program of a base image with power over every sandbox: it has to enter those
 * that it forks into. So it gets nothing else. Its root is that image, read-only, without
 * /proc, /dev and /tmp; no network, no descriptor but its socket and settings; of all
 * capabilities two; and no code that is not the image's or ours ever runs in it.
 */
#define _GNU_SOURCE
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mounts.h"
#include "sandbox.h"

#define STEP "zygote"
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define MAX_ZYGOTES 16

struct zygote {
	struct zygote *next;
	char id[NAME_LENGTH + 1];
	uint32_t request; /* of its start; 0: answered */
	pid_t pid;
	struct source process, socket;
	struct fault fault;
};

static struct zygote *find(const struct engine *engine, const char *id)
{
	struct zygote *zygote = id ? engine->zygotes : NULL;
	while (zygote && strcmp(zygote->id, id))
		zygote = zygote->next;
	return zygote;
}

int zygote_socket(const struct engine *engine, const char *name)
{
	const struct zygote *zygote = find(engine, name);
	return zygote && !zygote->request ? fcntl(zygote->socket.fd, F_DUPFD_CLOEXEC, 0) : -1;
}

unsigned zygote_count(const struct engine *engine)
{
	unsigned count = 0;
	for (const struct zygote *zygote = engine->zygotes; zygote; zygote = zygote->next)
		count++;
	return count;
}

/* ---- the child, before it is the image's program ---- */

/* Dies with the engine; the first to go when memory is short. */
static int tie(const struct engine *engine)
{
	struct pollfd alive = { engine->self_pidfd, POLLIN, 0 };
	if (write_at(AT_FDCWD, "/proc/self/oom_score_adj", "1000"))
		return fault(STEP, "/proc/self/oom_score_adj");
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return fault(STEP, "prctl");
	if (poll(&alive, 1, 0) != 0)
		_exit(1);
	return 0;
}

/* Both come as numbers above 4. */
static int take_descriptors(int sock, int settings)
{
	if (dup2(sock, ZYGOTE_SOCKET) < 0 || dup2(settings, ZYGOTE_SETTINGS) < 0)
		return fault(STEP, "descriptors");
	int keep[] = { ZYGOTE_SOCKET, ZYGOTE_SETTINGS };
	close_all_but(keep, 2);
	return 0;
}

/* The engine's root ends up under the new one, and is taken away from there. */
static int enter_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fault(STEP, "pivot_root");
	return 0;
}

static int confine(const struct engine *engine, const struct spec *spec)
{
	sigset_t none;
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL))
		return fault(STEP, "signals");
	signal(SIGPIPE, SIG_DFL);
	if (caps_confine_zygote())
		return -1;
	return landlock_confine(engine->landlock_abi, spec, CONFINE_SCOPE);
}

static _Noreturn void child(const struct engine *engine, const struct spec *spec, int sock,
                            int settings)
{
	struct zygote_report report = { 0 };
	char *const *argv = (char *const *)(uintptr_t)spec->program.argv;
	char *const *environment = (char *const *)(uintptr_t)spec->program.envp;
	if (!tie(engine) && !zygote_mounts(spec) && !enter_root() &&
	    !take_descriptors(sock, settings) && !confine(engine, spec)) {
		execute_along_path(argv, environment);
		fault(STEP, "%s", argv[0]);
	}
	snprintf(report.message, sizeof(report.message), "%s: %.200s", last_fault.step,
	         last_fault.message);
	send(sock, &report, sizeof(report), MSG_NOSIGNAL);
	_exit(1);
}

/* ---- the engine ---- */

static int make_settings(const struct engine *engine)
{
	const struct seccomp_filters *filters = &engine->filters;
	const struct zygote_settings settings = { engine->landlock_abi, engine->ids.single,
		                                      filters->allow.len, filters->deny.len };
	int fd = memfd_create("zygote", 0);
	if (fd < 0 || write_whole(fd, &settings, sizeof(settings)) ||
	    write_whole(fd, filters->allow.filter, filters->allow.len * sizeof(struct sock_filter)) ||
	    write_whole(fd, filters->deny.filter, filters->deny.len * sizeof(struct sock_filter)) ||
	    lseek(fd, 0, SEEK_SET)) {
		fault(STEP, "settings");
		close_fd(&fd);
	}
	return fd;
}

static void drop(struct engine *engine, struct zygote *zygote)
{
	struct zygote **link = &engine->zygotes;
	while (*link && *link != zygote)
		link = &(*link)->next;
	if (*link)
		*link = zygote->next;
	loop_unwatch(engine, &zygote->socket);
	loop_unwatch(engine, &zygote->process);
	free(zygote);
}

static void process_ended(struct engine *engine, struct source *source)
{
	struct zygote *zygote = owner_of(source, struct zygote, process);
	siginfo_t end;
	if (waitid(P_PIDFD, (id_t)source->fd, &end, WEXITED))
		return;
	if (zygote->request) {
		last_fault = zygote->fault;
		if (!*last_fault.step)
			refuse(STEP, "it ended before it was ready (%s %d)",
			       end.si_code == CLD_EXITED ? "status" : "signal", end.si_status);
		reply_fault(engine, zygote->request, "zygote_failed");
	} else {
		size_t begin = frame_begin(&engine->out, 0);
		frame_field(&engine->out, "event", "zygote-exit");
		frame_field(&engine->out, "id", "%s", zygote->id);
		frame_field(&engine->out, end.si_code == CLD_EXITED ? "status" : "signal", "%d",
		            end.si_status);
		frame_end(&engine->out, begin);
	}
	drop(engine, zygote);
}

/* Its one report. What it says later, and its end of the socket, tell nothing that its end does not. */
static void socket_ready(struct engine *engine, struct source *source)
{
	struct zygote *zygote = owner_of(source, struct zygote, socket);
	struct zygote_report report;
	ssize_t got = recv(source->fd, &report, sizeof(report), MSG_DONTWAIT);
	if (got == (ssize_t)sizeof(report) && zygote->request) {
		report.message[sizeof(report.message) - 1] = '\0';
		if (*report.message) {
			refuse(STEP, "%s", report.message);
			zygote->fault = last_fault;
			return;
		}
		size_t begin = frame_begin(&engine->out, zygote->request);
		frame_field(&engine->out, "ok", "1");
		frame_field(&engine->out, "pid", "%d", zygote->pid);
		frame_end(&engine->out, begin);
		zygote->request = 0;
		return;
	}
	if (got < 0 && errno == EAGAIN)
		return;
	loop_unwatch(engine, source);
	syscall(SYS_pidfd_send_signal, zygote->process.fd, SIGKILL, NULL, 0);
}

static int launch(struct engine *engine, struct zygote *zygote, const struct spec *spec)
{
	int pair[2];
	cleanup_fd int settings = make_settings(engine);
	if (settings < 0 || check_layers(engine, spec->layers, spec->layer_count))
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fault(STEP, "socketpair");
	zygote->socket.fd = pair[0];
	zygote->pid = spawn(NAMESPACES, &zygote->process.fd, -1);
	if (zygote->pid == 0)
		child(engine, spec, pair[1], settings);
	close(pair[1]);
	if (zygote->pid < 0)
		return fault(STEP, "clone3");
	park_fd(&zygote->process.fd);
	park_fd(&zygote->socket.fd);
	if (loop_watch(engine, &zygote->process) || loop_watch(engine, &zygote->socket))
		return fault(STEP, "epoll");
	return 0;
}

static int check_spec(const struct engine *engine, const struct spec *spec)
{
	if (!spec->program.argv[0] || spec->profile != PROFILE_FUNCTION || spec->upper)
		return refuse("request", "a zygote is a function's program without upper");
	if (find(engine, spec->id))
		return refuse("request", "a zygote %s exists already", spec->id);
	if (zygote_count(engine) == MAX_ZYGOTES)
		return refuse("request", "%d zygotes are there already", MAX_ZYGOTES);
	return 0;
}

void zygote_start(struct engine *engine, const struct message *message)
{
	struct spec spec = { 0 };
	if (spec_parse(&spec, message) || check_spec(engine, &spec)) {
		reply_fault(engine, message->id, "bad_request");
		spec_free(&spec);
		return;
	}
	struct zygote *zygote = need_memory(sizeof(*zygote));
	*zygote = (struct zygote){ .request = message->id,
		                       .process = { -1, process_ended },
		                       .socket = { -1, socket_ready } };
	snprintf(zygote->id, sizeof(zygote->id), "%s", spec.id);
	if (launch(engine, zygote, &spec)) {
		reply_fault(engine, message->id, "zygote_failed");
		drop(engine, zygote);
	} else {
		zygote->next = engine->zygotes;
		engine->zygotes = zygote;
	}
	spec_free(&spec);
}

/* What it has forked goes on. Its end is told as every other one. */
void zygote_end(struct engine *engine, const struct message *message)
{
	const struct zygote *zygote = find(engine, message_get(message, "id"));
	if (zygote)
		syscall(SYS_pidfd_send_signal, zygote->process.fd, SIGKILL, NULL, 0);
	reply_ok(engine, message->id);
}
