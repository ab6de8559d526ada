/* The server: starting it, and reaching its port. */
#include "wafer-http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBE_WAIT_MS = 100 };

static NORETURN void child_exec(const struct settings *s, int report)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chdir(s->code_path) == 0) {
		environ = s->env;
		execvp(s->argv[0], s->argv);
	}
	int error = errno;
	if (write(report, &error, sizeof error) < 0)
		_exit(126);
	_exit(127);
}

pid_t child_start(struct settings *s, struct buf *error)
{
	int report[2], code = 0;
	if (!s->argv || !s->argv[0]) {
		buf_str(error, "the command is empty; set \"command\" in wafer.json");
		return -1;
	}
	if (pipe2(report, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0)
		child_exec(s, report[1]);
	close(report[1]);
	if (pid < 0)
		code = errno;
	else if (read(report[0], &code, sizeof code) != sizeof code)
		code = 0;
	close(report[0]);
	if (code == 0)
		return pid;
	buf_fmt(error, "the command \"%s\" could not be started in %s: %s", s->argv[0], s->code_path, strerror(code));
	return -1;
}

int port_connect(int port, bool *pending)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	*pending = false;
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		*pending = true;
		return fd;
	}
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

bool port_accepts(int port)
{
	bool pending;
	int fd = port_connect(port, &pending);
	if (fd < 0)
		return false;
	if (pending) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		int error = 0;
		socklen_t n = sizeof error;
		pending = poll(&p, 1, PROBE_WAIT_MS) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error != 0;
	}
	close(fd);
	return !pending;
}
