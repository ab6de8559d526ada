/* A pseudo-terminal of the sandbox's own devpts, of which pid 1 has the master. */
#define _GNU_SOURCE
#include "init_run.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int terminal_open(struct run *run, const struct window *window, int *slave)
{
	const int unlocked = 0;
	/* /dev is a read-only mount of ours, and nobody inside can mount over it. */
	int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (master < 0)
		return fault("exec", "a terminal (64 are the most of one sandbox)");
	run->terminal = true;
	run->pipes[0] = master;
	/* By descriptor: whatever /dev/pts is to the program, this is the master's other end. */
	if (ioctl(master, TIOCSPTLCK, &unlocked) ||
	    (*slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
		return fault("exec", "terminal");
	if (run->input >= 0 && (run->sink = fcntl(master, F_DUPFD_CLOEXEC, 0)) < 0)
		return fault("exec", "terminal");
	terminal_resize(run, window->rows, window->columns);
	return 0;
}

/* The kernel tells the foreground programs (SIGWINCH). */
void terminal_resize(const struct run *run, uint16_t rows, uint16_t columns)
{
	const struct winsize size = { .ws_row = rows, .ws_col = columns };
	if (run->terminal && run->pipes[0] >= 0)
		ioctl(run->pipes[0], TIOCSWINSZ, &size);
}

size_t terminal_end(const struct run *run, char characters[2])
{
	struct termios now;
	if (run->sink < 0 || tcgetattr(run->sink, &now) || !(now.c_lflag & ICANON) ||
	    now.c_cc[VEOF] == _POSIX_VDISABLE)
		return 0;
	/* After half a line the first one only ends the line. */
	characters[0] = characters[1] = (char)now.c_cc[VEOF];
	return run->line_begun ? 2 : 1;
}
