/* Every probe prints `name answer` lines: `ok`, the name of an errno, or how a child died. */
#ifndef TELL_H
#define TELL_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void tell(const char *name, long result)
{
	printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
	fflush(stdout);
}

/* In a child, for what may kill its caller: the answer, or `SIGSYS` and the like. */
static inline void tell_of_child(const char *name, long (*attempt)(void))
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		long result = attempt();
		_exit(result >= 0 ? 0 : errno & 0xff);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("%s no-child\n", name);
	else if (WIFSIGNALED(status))
		printf("%s SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
	else
		printf("%s %s\n", name, WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok");
	fflush(stdout);
}

#endif
