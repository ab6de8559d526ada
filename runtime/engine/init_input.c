/*
 * From the worker's connection to a program's stdin. What the program does not take
 * is kept, and nothing more is read meanwhile, so that a program that does not read
 * stops the sender. The end of the connection is the end of stdin.
 */
#define _GNU_SOURCE
#include "init_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (32 * 1024)

int input_open(struct run *run, int *reader)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return fault("exec", "input pipe");
	*reader = ends[0];
	run->sink = ends[1];
	/* So that the program's user may open /dev/stdin again. */
	if (fchmod(ends[0], 0666) || fcntl(ends[1], F_SETFL, O_NONBLOCK))
		return fault("exec", "input pipe");
	return 0;
}

bool input_waits(const struct run *run)
{
	return run->typed_sent < run->typed_length;
}

void input_close(struct run *run)
{
	close_fd(&run->input);
	close_fd(&run->sink);
	free(run->typed);
	run->typed = NULL;
	run->typed_sent = run->typed_length = 0;
}

static void deliver(struct run *run)
{
	ssize_t written = write(run->sink, run->typed + run->typed_sent,
	                        run->typed_length - run->typed_sent);
	if (written < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (written <= 0) {
		input_close(run); /* the program does not read any more */
		return;
	}
	run->typed_sent += (size_t)written;
	run->line_begun = run->typed[run->typed_sent - 1] != '\n';
	if (run->typed_sent < run->typed_length)
		return;
	run->typed_sent = run->typed_length = 0;
	if (run->input < 0)
		input_close(run);
}

/* A terminal has no end of its own: its reader is told by a character. */
static void end_input(struct run *run)
{
	close_fd(&run->input);
	if (run->terminal)
		run->typed_length = terminal_end(run, run->typed);
	if (run->typed_length > 0)
		deliver(run);
	else
		input_close(run);
}

void input_pump(struct run *run)
{
	if (input_waits(run)) {
		deliver(run);
		return;
	}
	if (!run->typed)
		run->typed = need_memory(CHUNK);
	ssize_t got = recv(run->input, run->typed, CHUNK, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		end_input(run);
		return;
	}
	run->typed_length = (size_t)got;
	deliver(run);
}
