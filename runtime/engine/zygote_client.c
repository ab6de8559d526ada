/* Pid 1's side of a zygote: hands over what the first program needs, and waits until it is one. */
#define _GNU_SOURCE
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

#define STEP "zygote"
/* It takes milliseconds. One that takes longer stands still, and may yet go on: nothing else may be started then. */
#define PATIENCE_MS 10000

static int namespaces[ZYGOTE_FIXED - ZYGOTE_PIDS];
static int time_namespace = -1;

int zygote_open_namespaces(void)
{
	static const char *const names[] = { "pid", "net", "ipc", "uts", "cgroup", "mnt", "user" };
	char path[64];
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		namespaces[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (namespaces[i] < 0)
			return fault(STEP, "%s", path);
	}
	time_namespace = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	return time_namespace < 0 && errno != ENOENT ? fault(STEP, "/proc/self/ns/time") : 0;
}

static void close_namespaces(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(namespaces); i++)
		close_fd(&namespaces[i]);
	close_fd(&time_namespace);
}

static int send_request(const struct init *init, const struct start *start, int answer)
{
	const struct spec *spec = init->spec;
	struct zygote_request request = { .pids = spec->pids,
		                              .nofile = spec->nofile,
		                              .fsize = spec->fsize,
		                              .has_time = time_namespace >= 0 };
	int fds[ZYGOTE_DESCRIPTORS] = { answer, start->control, start->out, start->err };
	size_t count = ZYGOTE_FIXED;
	memcpy(fds + ZYGOTE_PIDS, namespaces, sizeof(namespaces));
	if (request.has_time)
		fds[count++] = time_namespace;
	for (int i = 0; i < V1_CONTROLLERS; i++)
		if (init->group->tasks[i] >= 0) {
			fds[count++] = init->group->tasks[i];
			request.groups++;
		}
	if (snprintf(request.cwd, sizeof(request.cwd), "%s", spec->program.cwd) >=
	    (int)sizeof(request.cwd))
		return refuse(STEP, "the working directory's name is too long for it");
	if (send_with_fds(init->zygote, &request, sizeof(request), fds, count))
		return fault(STEP, "it does not take requests");
	return 0;
}

static pid_t await_answer(int answer)
{
	struct zygote_answer told;
	struct pollfd ready = { answer, POLLIN, 0 };
	int count;
	do
		count = poll(&ready, 1, PATIENCE_MS);
	while (count < 0 && errno == EINTR);
	/* Without an answer and without an end the program may still begin: then this sandbox is lost. */
	if (count <= 0) {
		refuse(STEP, "no answer within %d s", PATIENCE_MS / 1000);
		return ZYGOTE_STUCK;
	}
	if (read(answer, &told, sizeof(told)) != (ssize_t)sizeof(told))
		return refuse(STEP, "it ended while it was asked");
	if (told.pid > 0)
		return told.pid;
	last_fault = told.fault;
	return -1;
}

pid_t zygote_fork(const struct init *init, const struct start *start)
{
	int answer[2];
	if (pipe2(answer, O_CLOEXEC))
		return fault(STEP, "pipe");
	int bad = send_request(init, start, answer[1]);
	close(answer[1]);
	pid_t pid = bad ? -1 : await_answer(answer[0]);
	close(answer[0]);
	close_namespaces();
	limits_close_handles(init->group);
	return pid;
}
