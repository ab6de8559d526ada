/* One program as pid 1 serves it, and the ways of its bytes. init.c starts and ends them. */
#ifndef WAFER_INIT_RUN_H
#define WAFER_INIT_RUN_H

#include "init.h"

struct run {
	bool used, ended;
	pid_t pid;
	uint32_t number;
	int status;
	/* Out: two pipes, or a terminal's master and -1; -1 at their end. */
	int pipes[2];
	int logs;    /* -1: nobody listens (any more), output is thrown away */
	char *chunk; /* one frame on its way */
	size_t length, sent;
	long tail[2]; /* of an ended program: bytes of its that are still in the pipes */
	/* In: from a connection to a pipe, or to (another descriptor of) the terminal's master. */
	int input, sink; /* -1: there is none, or it has ended */
	char *typed;     /* what the program has not taken yet */
	size_t typed_length, typed_sent;
	bool terminal;
	bool hung;       /* nobody has the terminal open now; its program may open it again */
	bool line_begun; /* the last byte typed was no newline */
};

/* init_output.c: makes the pipes; the program's ends go to `writers`. */
int output_open(struct run *run, int writers[2]);
/* A frame waits for its reader: nothing more is read meanwhile (back-pressure). */
bool output_waits(const struct run *run);
void output_send(struct run *run);
/* Reads one piece of one stream and sends it; false when nothing is there now. */
bool output_pump(struct run *run, int stream);

/* init_input.c: takes run->input; the program's end goes to `reader`. */
int input_open(struct run *run, int *reader);
bool input_waits(const struct run *run);
void input_pump(struct run *run);
/* What can be sent has been sent; the rest has no reader. */
void input_close(struct run *run);

/* init_terminal.c: the program's end goes to `slave`. */
int terminal_open(struct run *run, const struct window *window, int *slave);
void terminal_resize(const struct run *run, uint16_t rows, uint16_t columns);
/* The characters that say end of file to who reads the terminal; their number, 0 in raw mode. */
size_t terminal_end(const struct run *run, char characters[2]);

#endif
