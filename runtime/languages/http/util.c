/* How the program ends, and memory. Knows nothing of the rest. */
#include "wafer-http.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* -1: none yet. */
static pid_t group = -1;

void kill_at_exit(pid_t child)
{
	group = child;
}

void leave(int status)
{
	if (group > 0)
		kill(-group, SIGKILL);
	_exit(status);
}

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("wafer-http: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	leave(EXIT_PROTOCOL);
}

void *xmalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	if (!p)
		die("out of memory for %zu bytes", size);
	return p;
}
