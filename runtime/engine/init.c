/*
 * Pid 1: starts the programs, reaps, carries their bytes, reports their ends. It ends
 * with the first program, which ends everything else in the sandbox; a parked sandbox
 * has no first program and ends when it is killed.
 *
 *   init.c             the loop and what the engine asks
 *   |- init_runs.c     the programs: start, end, and what is reported of it
 *   |- exec.c          the start of a program
 *   |- init_output.c   its output to the worker
 *   |- init_input.c    the worker's bytes to its stdin
 *   `- init_terminal.c a terminal instead of pipes
 */
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init_run.h"
#define HUNG_MS 50  /* between looks whether a terminal is in use again: poll can not wait for that */

/* Takes over the streams. */
static int exec_request(const struct init *init, uint32_t number, int body,
                        struct streams streams)
{
	struct stat status;
	struct run *run = NULL;
	for (int i = 1; i < MAX_RUNS && !run; i++)
		run = runs[i].used ? NULL : &runs[i];
	struct message message = { 0 };
	struct program program = { 0 };
	int bad = run ? 0 : refuse("exec", "%d programs already run in this sandbox", MAX_RUNS - 1);
	if (!bad && fstat(body, &status))
		bad = fault("exec", "request");
	if (!bad) {
		message.length = (size_t)status.st_size;
		message.body = need_memory(message.length + 1);
		bad = pread(body, message.body, message.length, 0) != (ssize_t)message.length ||
		      program_parse(&program, &message, false);
	}
	if (bad) {
		close_fd(&streams.logs);
		close_fd(&streams.input);
	} else {
		bad = run_start(init, run, &program, number, streams);
	}
	program_free(&program);
	message_free(&message);
	return bad ? -1 : 0;
}

/* `fds` are the body and the connections that the command says it has. */
static void take_exec(const struct init *init, const struct command *command, int fds[3])
{
	uint64_t since = now_us();
	struct streams streams = { .control = -1, .logs = -1, .input = -1 };
	int *next = fds + 1;
	if (command->has_logs)
		streams.logs = *next++;
	if (command->has_input)
		streams.input = *next;
	fds[1] = fds[2] = -1;
	if (exec_request(init, command->number, fds[0], streams))
		init_report(init, REPORT_FAULT, command->number, 0);
	else
		init_report(init, REPORT_STARTED, command->number, (int64_t)(now_us() - since));
}

static void signal_all(const struct init *init, const struct command *command)
{
	kill(-1, command->signal);
	init_report(init, REPORT_DONE, command->number, 0);
}

/* The connection is made in this network; the engine waits for it, and takes it out. */
static void take_connect(const struct init *init, const struct command *command)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
		                                 .sin_port = htons(command->port),
		                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct report done = { .type = REPORT_DONE, .number = command->number };
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, (const struct sockaddr *)&address, sizeof(address)) &&
	               errno != EINPROGRESS)) {
		fault("connect", "port %u", command->port);
		init_report(init, REPORT_FAULT, command->number, 0);
		return;
	}
	send_with_fds(init->commands, &done, sizeof(done), &fd, 1);
}

static void take_command(const struct init *init)
{
	struct command command;
	int fds[3];
	ssize_t got =
		receive_with_fds(init->commands, &command, sizeof(command), fds, 3, MSG_DONTWAIT);
	if (got == 0)
		_exit(1); /* the engine is gone */
	if (got != (ssize_t)sizeof(command))
		return;
	const struct run *run = run_find(command.number);
	if (command.type == COMMAND_EXEC)
		take_exec(init, &command, fds);
	else if (command.type == COMMAND_CONNECT)
		take_connect(init, &command);
	else if (command.type == COMMAND_SIGNAL && command.all)
		signal_all(init, &command);
	else if (command.type == COMMAND_SIGNAL && run)
		kill(run->pid, command.signal);
	else if (command.type == COMMAND_RESIZE && run)
		terminal_resize(run, command.rows, command.columns);
	for (int i = 0; i < 3; i++)
		close_fd(&fds[i]);
}

/* What is waited for of one program; at most four. */
static nfds_t watch_run(const struct run *run, struct pollfd *polls)
{
	nfds_t count = 0;
	if (output_waits(run))
		polls[count++] = (struct pollfd){ run->logs, POLLOUT, 0 };
	else
		for (int i = 0; i < 2; i++)
			if (run->pipes[i] >= 0 && !run->hung)
				polls[count++] = (struct pollfd){ run->pipes[i], POLLIN, 0 };
	if (input_waits(run))
		polls[count++] = (struct pollfd){ run->sink, POLLOUT, 0 };
	else if (run->input >= 0)
		polls[count++] = (struct pollfd){ run->input, POLLIN, 0 };
	/* That the program closed its end shows without a byte to write. */
	if (run->sink >= 0 && !input_waits(run) && !run->terminal)
		polls[count++] = (struct pollfd){ run->sink, 0, 0 };
	return count;
}

static void serve_run(struct run *run, int fd, short events)
{
	if (fd == run->logs)
		output_send(run);
	else if (fd == run->input || (fd == run->sink && input_waits(run)))
		input_pump(run);
	else if (fd == run->sink && (events & POLLERR))
		input_close(run);
	else if (fd == run->pipes[0] || fd == run->pipes[1])
		output_pump(run, fd == run->pipes[1]);
}

static void wait_and_serve(const struct init *init, int signals)
{
	struct pollfd polls[2 + 4 * MAX_RUNS] = { { init->commands, POLLIN, 0 },
		                                      { signals, POLLIN, 0 } };
	struct run *owners[ARRAY_LENGTH(polls)];
	nfds_t count = 2;
	int patience = -1;
	for (int i = 0; i < MAX_RUNS; i++) {
		if (runs[i].hung)
			patience = HUNG_MS;
		nfds_t more = runs[i].used ? watch_run(&runs[i], polls + count) : 0;
		for (; more > 0; more--)
			owners[count++] = &runs[i];
	}
	if (poll(polls, count, patience) < 0)
		return;
	for (int i = 0; i < MAX_RUNS && patience > 0; i++)
		if (runs[i].hung)
			output_pump(&runs[i], 0);
	/* Programs first: what follows may close their descriptors and open others of the same number. */
	for (nfds_t i = 2; i < count; i++)
		if (polls[i].revents)
			serve_run(owners[i], polls[i].fd, polls[i].revents);
	if (polls[1].revents) {
		struct signalfd_siginfo information;
		while (read(signals, &information, sizeof(information)) > 0)
			;
		runs_reap();
	}
	if (polls[0].revents)
		take_command(init);
}

_Noreturn void init_run(const struct init *init, struct streams streams, uint64_t since)
{
	sigset_t child;
	const struct program *first = &init->spec->program;
	runs_clear();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		fault("init", "signalfd");
	if (signals < 0 || (first->argv[0] && run_start(init, &runs[0], first, 0, streams))) {
		init_report(init, REPORT_FAULT, 0, 0);
		_exit(1);
	}
	close_fd(&streams.control);
	init_report(init, REPORT_STARTED, 0, (int64_t)(now_us() - since));
	for (;;) {
		runs_settle(init);
		wait_and_serve(init, signals);
	}
}
