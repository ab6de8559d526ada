/* From a program's pipes or terminal to its framed connection: `u8 stream | u24 length | bytes`. */
#define _GNU_SOURCE
#include "init_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (32 * 1024)
#define HEAD 4

int output_open(struct run *run, int writers[2])
{
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

bool output_waits(const struct run *run)
{
	return run->sent < run->length;
}

void output_send(struct run *run)
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

bool output_pump(struct run *run, int stream)
{
	if (run->pipes[stream] < 0 || output_waits(run))
		return false;
	if (!run->chunk)
		run->chunk = need_memory(HEAD + CHUNK);
	ssize_t got = read(run->pipes[stream], run->chunk + HEAD, CHUNK);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/*
	 * A terminal that nobody has open says EIO. Its master stays until the program has
	 * ended: closing it is a hangup, which would kill one that is just about to exit.
	 */
	run->hung = got <= 0 && run->terminal && !run->ended;
	if (got <= 0 && !run->hung)
		close_fd(&run->pipes[stream]);
	if (got <= 0)
		return false;
	run->tail[stream] -= got;
	if (run->logs < 0)
		return true;
	run->chunk[0] = (char)(stream + 1);
	run->chunk[1] = (char)(got >> 16);
	run->chunk[2] = (char)(got >> 8);
	run->chunk[3] = (char)got;
	run->length = (size_t)got + HEAD;
	output_send(run);
	return true;
}
