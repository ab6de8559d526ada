/* One program as pid 1 serves it, and the ways of its bytes. init_runs.c starts and ends them. */
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

/* init_runs.c: the table; [0] is the first program. */
#define MAX_RUNS 33 /* the first program and 32 execs */
extern struct run runs[MAX_RUNS];
void runs_clear(void);
/* Takes over `logs` and `input`. */
int run_start(const struct init *init, struct run *run, const struct program *program,
              uint32_t number, struct streams streams);
/* The one that runs, or NULL. */
struct run *run_find(uint32_t number);
/* Notes what has ended; with the first program everything ends. */
void runs_reap(void);
/* Reports those whose output has gone out; does not return when the first one's has. */
void runs_settle(const struct init *init);
void init_report(const struct init *init, uint32_t type, uint32_t number, int64_t value);

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
