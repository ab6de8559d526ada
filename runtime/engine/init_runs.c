/*
 * The programs that pid 1 has: from their start to the report of their end. The first one
 * takes the sandbox with it; the output of the others is read to what was in their pipes.
 */
#define _GNU_SOURCE
#include "init_run.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"
#include "zygote.h"

static const struct run no_run = { .pipes = { -1, -1 }, .logs = -1, .input = -1, .sink = -1 };
struct run runs[MAX_RUNS];

void runs_clear(void)
{
	for (int i = 0; i < MAX_RUNS; i++)
		runs[i] = no_run;
}

void init_report(const struct init *init, uint32_t type, uint32_t number, int64_t value)
{
	struct report message = { .type = type, .number = number, .value = value };
	if (type == REPORT_FAULT)
		message.fault = last_fault;
	send_with_fds(init->commands, &message, sizeof(message), NULL, 0);
}

static void forget_run(struct run *run)
{
	close_fd(&run->pipes[0]);
	close_fd(&run->pipes[1]);
	close_fd(&run->logs);
	input_close(run);
	free(run->chunk);
	*run = no_run;
}

/* Of the zygote, if there is one. */
static pid_t start_first(const struct init *init, const struct start *start)
{
	if (init->zygote < 0)
		return program_start(init, start);
	pid_t pid = zygote_fork(init, start);
	struct report forked = { .type = REPORT_FORKED, .value = pid > 0 };
	if (pid == ZYGOTE_STUCK)
		return -1;
	if (pid < 0)
		forked.fault = last_fault;
	send_with_fds(init->commands, &forked, sizeof(forked), NULL, 0);
	return pid < 0 ? program_start(init, start) : pid;
}

/* Takes over `logs` and `input`. */
int run_start(const struct init *init, struct run *run, const struct program *program,
                     uint32_t number, struct streams streams)
{
	cleanup_fd int in = -1;
	int writers[2] = { -1, -1 };
	*run = no_run;
	run->used = true;
	run->number = number;
	run->logs = streams.logs;
	run->input = streams.input;
	int bad = program->terminal.given ? terminal_open(run, &program->terminal, &in)
	          : output_open(run, writers) ? -1
	          : run->input >= 0           ? input_open(run, &in)
	                                      : 0;
	struct start start = { program, number, streams.control, in, writers[0], writers[1] };
	if (program->terminal.given)
		start.out = start.err = in;
	run->pid = bad          ? -1
	           : number == 0 ? start_first(init, &start)
	                         : program_start(init, &start);
	close_fd(&writers[0]);
	close_fd(&writers[1]);
	if (run->pid > 0)
		return 0;
	forget_run(run);
	return -1;
}

/*
 * What has to be read of an ended program: what is in its pipes now. A daemon of it may hold
 * them open, and write, for ever. A terminal does not say how much it has; it is hung up on.
 */
static void note_tail(struct run *run)
{
	for (int stream = 0; stream < 2; stream++) {
		int bytes = 0;
		if (run->pipes[stream] >= 0 && ioctl(run->pipes[stream], FIONREAD, &bytes))
			bytes = 0;
		run->tail[stream] = run->terminal ? LONG_MAX : bytes;
	}
}

void runs_reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_RUNS; i++)
			if (runs[i].used && !runs[i].ended && runs[i].pid == pid) {
				runs[i].ended = true;
				runs[i].status = status;
				runs[i].hung = false;
				input_close(&runs[i]);
				note_tail(&runs[i]);
				if (i == 0)
					kill(-1, SIGKILL); /* the rest, so that its output ends too */
			}
}

static void drain_now(struct run *run)
{
	for (int stream = 0; stream < 2; stream++)
		while (run->tail[stream] > 0 && output_pump(run, stream))
			;
}

void runs_settle(const struct init *init)
{
	for (int i = 0; i < MAX_RUNS; i++) {
		struct run *run = &runs[i];
		if (!run->used || !run->ended)
			continue;
		if (i > 0)
			drain_now(run);
		bool open = run->pipes[0] >= 0 || run->pipes[1] >= 0;
		if (output_waits(run) || (i == 0 && open))
			continue;
		init_report(init, REPORT_EXIT, run->number, run->status);
		if (i == 0)
			_exit(WIFEXITED(run->status) ? WEXITSTATUS(run->status)
			                             : 128 + WTERMSIG(run->status));
		forget_run(run);
	}
}

struct run *run_find(uint32_t number)
{
	for (int i = 0; i < MAX_RUNS; i++)
		if (runs[i].used && !runs[i].ended && runs[i].number == number)
			return &runs[i];
	return NULL;
}
