/*
 * Net namespaces made ahead. To make one takes the kernel longer than everything else of a
 * sandbox's creation, with a long tail, so a helper process makes them, with `lo` up, and hands
 * them to the engine, which steps into one for the moment of a clone. They belong to the
 * engine's user namespace: nothing in a sandbox has any say over them. So they are for
 * functions without egress; the others make their own. None is used twice, and when there is
 * none, a function makes its own, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"

#define STEP "network"
#define NICE 10 /* calls come first */

static int make_namespace(int own)
{
	if (unshare(CLONE_NEWNET) || net_loopback_up())
		return fault(STEP, "make a net namespace");
	int made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	/* One that its sandbox has left must not live on here. */
	if (setns(own, CLONE_NEWNET))
		close_fd(&made);
	return made < 0 ? fault(STEP, "net namespace") : made;
}

/* One for each byte; ends with the engine, or when it can make none. */
static _Noreturn void helper(const struct engine *engine, int sock)
{
	struct pollfd alive = { engine->self_pidfd, POLLIN, 0 };
	int keep[] = { sock, engine->net.own };
	char byte;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || poll(&alive, 1, 0) != 0)
		_exit(1);
	close_all_but(keep, ARRAY_LENGTH(keep));
	setpriority(PRIO_PROCESS, 0, NICE);
	while (recv(sock, &byte, 1, 0) == 1) {
		cleanup_fd int made = make_namespace(engine->net.own);
		if (made < 0 || send_with_fds(sock, &byte, 1, &made, 1))
			break;
	}
	_exit(1);
}

static void stop(struct engine *engine)
{
	loop_unwatch(engine, &engine->net.source);
	engine->net.asked = 0;
}

static void made_one(struct engine *engine, struct source *source)
{
	struct net_stock *net = &engine->net;
	char byte;
	int fd;
	ssize_t got = receive_with_fds(source->fd, &byte, 1, &fd, 1, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got != 1 || fd < 0 || net->ready == NET_STOCK) {
		/* From now on each sandbox makes its own. */
		fprintf(stderr, "wafer-engine: no net namespaces are made ahead any more\n");
		close_fd(&fd);
		stop(engine);
		return;
	}
	park_fd(&fd);
	net->asked--;
	net->fds[net->ready++] = fd;
}

static void helper_ended(struct engine *engine, struct source *source)
{
	siginfo_t end;
	waitid(P_PIDFD, (id_t)source->fd, &end, WEXITED);
	loop_unwatch(engine, source);
}

int net_stock_start(struct engine *engine)
{
	struct net_stock *net = &engine->net;
	int pair[2];
	net->own = openat(engine->procfd, "self/ns/net", O_RDONLY | O_CLOEXEC);
	if (net->own < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fault(STEP, "the helper's connection");
	net->process = (struct source){ -1, helper_ended };
	pid_t pid = spawn(0, &net->process.fd, -1);
	if (pid == 0)
		helper(engine, pair[1]);
	close(pair[1]);
	net->source = (struct source){ pair[0], made_one };
	if (pid < 0 || loop_watch(engine, &net->source) || loop_watch(engine, &net->process))
		return fault(STEP, "the helper");
	return 0;
}

unsigned net_stock_to_do(const struct engine *engine)
{
	return engine->net.source.fd < 0 ? 0 : NET_STOCK - engine->net.ready;
}

bool net_stock_has_work(const struct engine *engine)
{
	return net_stock_to_do(engine) > engine->net.asked;
}

void net_stock_work(struct engine *engine)
{
	if (send(engine->net.source.fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		engine->net.asked++;
	else
		stop(engine);
}

bool net_stock_enter(struct engine *engine)
{
	struct net_stock *net = &engine->net;
	if (net->ready == 0)
		return false;
	cleanup_fd int fd = net->fds[--net->ready];
	return !setns(fd, CLONE_NEWNET);
}

void net_stock_return(struct engine *engine)
{
	if (!setns(engine->net.own, CLONE_NEWNET))
		return;
	perror("wafer-engine: back to the own network");
	sandboxes_let_die(engine);
	exit(1);
}
