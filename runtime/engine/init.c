/*
 * Pid 1: starts the programs, reaps, carries their output, reports their ends,
 * and ends with the first program, which ends everything else in the sandbox.
 */
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RUNS 17 /* the first program and 16 execs */
#define CHUNK (32 * 1024)
#define HEAD 4

/* A program and the way of its output: two pipes in, one framed connection out. */
struct run {
	bool used, ended;
	pid_t pid;
	uint32_t number;
	int status;
	int pipes[2]; /* of stdout and stderr; -1 at their end */
	int logs;     /* -1: nobody listens (any more), output is thrown away */
	char *chunk;  /* one frame on its way */
	size_t length, sent;
};

static struct run runs[MAX_RUNS];

static void report(const struct init *init, uint32_t type, uint32_t number, int64_t value)
{
	struct report message = { .type = type, .number = number, .value = value };
	if (type == REPORT_FAULT)
		message.fault = last_fault;
	send_with_fds(init->commands, &message, sizeof(message), NULL, 0);
}

static int open_output(struct run *run, int writers[2])
{
	writers[0] = writers[1] = -1;
	for (int i = 0; i < 2; i++) {
		int ends[2];
		if (pipe2(ends, O_CLOEXEC))
			return fault("exec", "output pipe");
		run->pipes[i] = ends[0];
		writers[i] = ends[1];
		/* So that the program's user may open /dev/stdout again. */
		if (fchmod(ends[1], 0666) || fcntl(ends[0], F_SETFL, O_NONBLOCK))
			return fault("exec", "output pipe");
	}
	return 0;
}

static void forget_run(struct run *run)
{
	close_fd(&run->pipes[0]);
	close_fd(&run->pipes[1]);
	close_fd(&run->logs);
	free(run->chunk);
	*run = (struct run){ .pipes = { -1, -1 }, .logs = -1 };
}

/* Takes over `logs`. */
static int start_run(const struct init *init, struct run *run, const struct program *program,
                     uint32_t number, int control, int logs)
{
	int writers[2] = { -1, -1 };
	*run = (struct run){ .used = true, .number = number, .pipes = { -1, -1 }, .logs = logs };
	int bad = open_output(run, writers);
	struct start start = { program, number, control, writers[0], writers[1] };
	run->pid = bad ? -1 : program_start(init, &start);
	close_fd(&writers[0]);
	close_fd(&writers[1]);
	run->chunk = need_memory(HEAD + CHUNK);
	if (run->pid > 0)
		return 0;
	forget_run(run);
	return -1;
}

static void send_chunk(struct run *run)
{
	ssize_t sent = send(run->logs, run->chunk + run->sent, run->length - run->sent,
	                    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		close_fd(&run->logs); /* the reader is gone: go on without it */
		run->sent = run->length = 0;
		return;
	}
	run->sent += (size_t)sent;
	if (run->sent == run->length)
		run->sent = run->length = 0;
}

static bool pending(const struct run *run)
{
	return run->sent < run->length;
}

/* Reads one piece of one stream and sends it; false when nothing is there now. */
static bool pump(struct run *run, int stream)
{
	if (run->pipes[stream] < 0 || pending(run))
		return false;
	ssize_t got = read(run->pipes[stream], run->chunk + HEAD, CHUNK);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		close_fd(&run->pipes[stream]);
		return false;
	}
	if (run->logs < 0)
		return true;
	run->chunk[0] = (char)(stream + 1);
	run->chunk[1] = (char)(got >> 16);
	run->chunk[2] = (char)(got >> 8);
	run->chunk[3] = (char)got;
	run->length = (size_t)got + HEAD;
	send_chunk(run);
	return true;
}

static void reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_RUNS; i++)
			if (runs[i].used && !runs[i].ended && runs[i].pid == pid) {
				runs[i].ended = true;
				runs[i].status = status;
				if (i == 0)
					kill(-1, SIGKILL); /* the rest, so that its output ends too */
			}
}

/* Reads what an ended exec left in its pipes; a daemon of it may hold them open for ever. */
static void drain_now(struct run *run)
{
	for (int stream = 0; stream < 2; stream++)
		while (pump(run, stream))
			;
}

static void settle(const struct init *init)
{
	for (int i = 0; i < MAX_RUNS; i++) {
		struct run *run = &runs[i];
		if (!run->used || !run->ended)
			continue;
		if (i > 0)
			drain_now(run);
		bool open = run->pipes[0] >= 0 || run->pipes[1] >= 0;
		if (pending(run) || (i == 0 && open))
			continue;
		report(init, REPORT_EXIT, run->number, run->status);
		if (i == 0)
			_exit(WIFEXITED(run->status) ? WEXITSTATUS(run->status)
			                             : 128 + WTERMSIG(run->status));
		forget_run(run);
	}
}

static int exec_request(const struct init *init, uint32_t number, int body, int logs)
{
	struct stat status;
	struct run *run = NULL;
	for (int i = 1; i < MAX_RUNS && !run; i++)
		run = runs[i].used ? NULL : &runs[i];
	if (!run || fstat(body, &status)) {
		close_fd(&logs);
		return refuse("exec", "%d programs already run in this sandbox", MAX_RUNS);
	}
	struct message message = { .length = (size_t)status.st_size };
	struct program program = { 0 };
	message.body = need_memory(message.length + 1);
	int bad = pread(body, message.body, message.length, 0) != (ssize_t)message.length ||
	          program_parse(&program, &message);
	if (bad)
		close_fd(&logs);
	else
		bad = start_run(init, run, &program, number, -1, logs);
	program_free(&program);
	message_free(&message);
	return bad ? -1 : 0;
}

static void take_command(const struct init *init)
{
	struct command command;
	int fds[2];
	ssize_t got =
		receive_with_fds(init->commands, &command, sizeof(command), fds, 2, MSG_DONTWAIT);
	if (got == 0)
		_exit(1); /* the engine is gone */
	if (got != (ssize_t)sizeof(command))
		return;
	if (command.type == COMMAND_SIGNAL) {
		if (command.all)
			kill(-1, command.signal);
		else if (runs[0].used && !runs[0].ended)
			kill(runs[0].pid, command.signal);
	} else if (command.type == COMMAND_EXEC) {
		uint64_t since = now_us();
		if (exec_request(init, command.number, fds[0], fds[1]))
			report(init, REPORT_FAULT, command.number, 0);
		else
			report(init, REPORT_STARTED, command.number, (int64_t)(now_us() - since));
		fds[1] = -1;
	}
	close_fd(&fds[0]);
	close_fd(&fds[1]);
}

static void wait_and_serve(const struct init *init, int signals)
{
	struct pollfd polls[2 + 3 * MAX_RUNS] = { { init->commands, POLLIN, 0 },
		                                      { signals, POLLIN, 0 } };
	struct run *owners[ARRAY_LENGTH(polls)];
	nfds_t count = 2;
	for (int i = 0; i < MAX_RUNS; i++) {
		struct run *run = &runs[i];
		if (!run->used)
			continue;
		/* While a frame waits for its reader nothing more is read: back-pressure. */
		int fds[3] = { pending(run) ? -1 : run->pipes[0], pending(run) ? -1 : run->pipes[1],
			           pending(run) ? run->logs : -1 };
		for (int j = 0; j < 3; j++) {
			if (fds[j] < 0)
				continue;
			owners[count] = run;
			polls[count++] = (struct pollfd){ fds[j], j == 2 ? POLLOUT : POLLIN, 0 };
		}
	}
	if (poll(polls, count, -1) < 0)
		return;
	if (polls[1].revents) {
		struct signalfd_siginfo information;
		while (read(signals, &information, sizeof(information)) > 0)
			;
		reap();
	}
	if (polls[0].revents)
		take_command(init);
	for (nfds_t i = 2; i < count; i++) {
		struct run *run = owners[i];
		if (!polls[i].revents || !run->used)
			continue;
		if (pending(run))
			send_chunk(run);
		else if (polls[i].fd == run->pipes[0])
			pump(run, 0);
		else if (polls[i].fd == run->pipes[1])
			pump(run, 1);
	}
}

_Noreturn void init_run(const struct init *init, int control, int logs, uint64_t since)
{
	sigset_t child;
	for (int i = 0; i < MAX_RUNS; i++)
		runs[i] = (struct run){ .pipes = { -1, -1 }, .logs = -1 };
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		fault("init", "signalfd");
	if (signals < 0 || start_run(init, &runs[0], &init->spec->program, 0, control, logs)) {
		report(init, REPORT_FAULT, 0, 0);
		_exit(1);
	}
	close_fd(&control);
	report(init, REPORT_STARTED, 0, (int64_t)(now_us() - since));
	for (;;) {
		settle(init);
		wait_and_serve(init, signals);
	}
}
