/*
 * wafer-http: the runtime of functions that are servers.
 *
 * Theory of operation. One process, one thread, one epoll loop. File descriptor 3 is the
 * control socket (runtime/protocol/protocol.md). After READY it is a blank. INIT names a
 * command: it is started as a child in its own process group with PORT in its environment,
 * and 127.0.0.1:PORT is tried until it accepts; then INIT_OK. From then on each call is one
 * TCP connection to the child: the frames of the call become an HTTP/1.1 request, the
 * answer becomes frames again. Both directions stream under the protocol's windows:
 *
 *   host --BODY--> buf out --> server      CREDIT when `out` has drained into the server
 *   host <--BODY-- (no buffer) <-- server  the server is read only as far as the window is
 *                                          open and fd 3 takes the bytes
 *
 * Who is trusted: the host (its mistakes end the process with 70); the server is not (its
 * mistakes fail the call). The child's stdout and stderr are inherited: they are its log.
 * The end: fd 3 closes -> the child's group is killed, exit 0. The child exits -> what it
 * had answered is passed on, exit with its status, and the host sees a crash.
 */
#include "wafer-http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTROL = 3, BATCH = 64, PROBE_FIRST_MS = 1, PROBE_MAX_MS = 20, TERM_GRACE_MS = 1000 };

enum phase { BLANK, STARTING, SERVING, DRAINING, STOPPING };

static struct {
	enum phase phase;
	int epoll, signals, probe_ms;
	struct buf in, out;
	uint32_t watched, last_call;
	struct settings *settings;
	pid_t child;
	bool child_ended;
	int child_status;
} self = {.child = -1};

void die(int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("wafer-http: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	if (self.child > 0)
		kill(-self.child, SIGKILL);
	_exit(status);
}

static NORETURN void leave(int status)
{
	if (self.child > 0)
		kill(-self.child, SIGKILL);
	_exit(status);
}

/* The control socket */

void control_send(int type, uint32_t call, const void *bytes, size_t n)
{
	unsigned char head[FRAME_HEAD] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n,
					  (unsigned char)type, (unsigned char)(call >> 24), (unsigned char)(call >> 16),
					  (unsigned char)(call >> 8), (unsigned char)call};
	buf_add(&self.out, head, sizeof head);
	buf_add(&self.out, bytes, n);
}

size_t control_pending(void)
{
	return self.out.len;
}

static void control_flush(void)
{
	while (self.out.len > 0) {
		ssize_t n = write(CONTROL, buf_at(&self.out), self.out.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			leave(0);
		buf_take(&self.out, (size_t)n);
	}
}

/* Before an exit: the host always reads, so this ends. */
static void control_flush_all(void)
{
	while (control_flush(), self.out.len > 0) {
		struct pollfd p = {.fd = CONTROL, .events = POLLOUT};
		poll(&p, 1, 1000);
	}
}

/* Keeps epoll's interest in `fd` at `wanted`; 0 takes it out, so that a hang-up can not spin. */
void watch(int fd, struct source *source, uint32_t *now, uint32_t wanted)
{
	struct epoll_event event = {.events = wanted, .data.ptr = source};
	if (*now == wanted || fd < 0)
		return;
	int op = wanted == 0 ? EPOLL_CTL_DEL : *now == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (epoll_ctl(self.epoll, op, fd, &event) < 0)
		die(EXIT_PROTOCOL, "epoll_ctl on fd %d: %s", fd, strerror(errno));
	*now = wanted;
}

/* Frames */

static void fail_init(const char *text, size_t n)
{
	struct buf json = {0};
	buf_str(&json, "{\"code\":\"function_init_failed\",\"message\":");
	json_put(&json, text, n, false);
	buf_str(&json, "}");
	control_send(H_INIT_ERROR, 0, buf_at(&json), json.len);
	control_flush_all();
	leave(1);
}

static void on_init(const char *json, size_t n)
{
	struct buf error = {0};
	if (self.phase != BLANK)
		die(EXIT_PROTOCOL, "a second INIT");
	self.settings = settings_parse(json, n);
	if (!self.settings)
		die(EXIT_PROTOCOL, "INIT is not what it must be");
	self.phase = STARTING;
	self.probe_ms = PROBE_FIRST_MS;
	self.child = child_start(self.settings, &error);
	if (self.child < 0)
		fail_init(buf_at(&error), error.len);
}

static void on_call_frame(int type, uint32_t number, const char *bytes, size_t n)
{
	struct call *c = call_find(number);
	if (number == 0 || number > self.last_call)
		die(EXIT_PROTOCOL, "frame type %d of the unknown call %u", type, number);
	if (!c)
		return;
	if (type == T_BODY)
		call_body(c, bytes, n);
	else if (type == T_END)
		call_complete(c);
	else if (type == T_CANCEL)
		call_cancel(c);
	else if (n == 4)
		call_credit(c, (uint32_t)(unsigned char)bytes[0] << 24 | (uint32_t)(unsigned char)bytes[1] << 16 |
				       (uint32_t)(unsigned char)bytes[2] << 8 | (unsigned char)bytes[3]);
	else
		die(EXIT_PROTOCOL, "CREDIT has %zu bytes", n);
}

static void on_frame(int type, uint32_t number, const char *bytes, size_t n)
{
	if (type == T_INIT) {
		on_init(bytes, n);
	} else if (type == T_SHUTDOWN) {
		if (self.phase == BLANK || self.phase == STARTING)
			leave(0);
		self.phase = DRAINING;
	} else if (type == T_CALL) {
		if (self.phase != SERVING || number <= self.last_call)
			die(EXIT_PROTOCOL, "CALL %u comes out of order", number);
		self.last_call = number;
		if (!call_open(number, self.settings, bytes, n))
			die(EXIT_PROTOCOL, "CALL %u is not what it must be", number);
	} else if (type >= T_BODY && type <= T_CREDIT) {
		on_call_frame(type, number, bytes, n);
	} else {
		die(EXIT_PROTOCOL, "frame type %d is unknown", type);
	}
}

static uint32_t u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void on_control(struct source *source, uint32_t events)
{
	static char bytes[BODY_PIECE];
	(void)source;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	ssize_t n = read(CONTROL, bytes, sizeof bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		leave(0);
	buf_add(&self.in, bytes, (size_t)n);
	while (self.in.len >= FRAME_HEAD) {
		const unsigned char *head = (unsigned char *)buf_at(&self.in);
		size_t length = u32(head);
		if (length > MAX_PAYLOAD)
			die(EXIT_PROTOCOL, "a frame of %zu bytes", length);
		if (self.in.len < FRAME_HEAD + length)
			break;
		on_frame(head[4], u32(head + 5), (const char *)head + FRAME_HEAD, length);
		buf_take(&self.in, FRAME_HEAD + length);
	}
}

/* The child */

static void on_signal(struct source *source, uint32_t events)
{
	struct signalfd_siginfo info;
	int status;
	(void)source, (void)events;
	while (read(self.signals, &info, sizeof info) == sizeof info)
		;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == self.child) {
			self.child_ended = true;
			self.child_status = status;
		}
}

static void on_child_ended(void)
{
	int status = self.child_status;
	struct buf text = {0};
	if (self.phase == STARTING) {
		buf_fmt(&text, "the command ended with %s %d before it listened on port %d",
			WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
			self.settings->port);
		fail_init(buf_at(&text), text.len);
	}
	calls_last_words();
	control_flush_all();
	leave(self.phase == STOPPING ? 0 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void probe(void)
{
	bool pending;
	int fd = port_connect(self.settings->port, &pending);
	if (fd >= 0 && pending) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		int error = 0;
		socklen_t n = sizeof error;
		pending = poll(&p, 1, 100) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error != 0;
	}
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && !pending) {
		self.phase = SERVING;
		control_send(H_INIT_OK, 0, "{}", 2);
	} else if (self.probe_ms < PROBE_MAX_MS) {
		self.probe_ms *= 2;
	}
}

static void advance(void)
{
	if (self.child_ended)
		on_child_ended();
	if (self.phase == STARTING)
		probe();
	calls_advance();
	calls_sweep();
	if (self.phase == DRAINING && calls_empty()) {
		self.phase = STOPPING;
		kill(-self.child, SIGTERM);
	}
	control_flush();
}

static int timeout(void)
{
	return self.phase == STARTING ? self.probe_ms : self.phase == STOPPING ? TERM_GRACE_MS : calls_timeout();
}

static void open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(void)
{
	static struct source control = {on_control}, signals = {on_signal};
	static const char ready[] = "{\"protocol\":1,\"runtime\":\"http\",\"runtimeVersion\":\"1\"}";
	struct epoll_event events[BATCH];
	uint32_t signals_watched = 0;
	self.epoll = epoll_create1(EPOLL_CLOEXEC);
	open_signals();
	if (self.epoll < 0 || self.signals < 0 || fcntl(CONTROL, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(CONTROL, F_SETFL, fcntl(CONTROL, F_GETFL) | O_NONBLOCK) < 0)
		die(EXIT_PROTOCOL, "file descriptor 3 is not a control socket: %s", strerror(errno));
	watch(self.signals, &signals, &signals_watched, EPOLLIN);
	control_send(H_READY, 0, ready, sizeof ready - 1);
	control_flush();
	for (;;) {
		watch(CONTROL, &control, &self.watched, EPOLLIN | (self.out.len > 0 ? (uint32_t)EPOLLOUT : 0));
		int n = epoll_wait(self.epoll, events, BATCH, timeout());
		if (n == 0 && self.phase == STOPPING && !self.child_ended)
			leave(0);
		for (int i = 0; i < n; i++) {
			struct source *source = events[i].data.ptr;
			source->ready(source, events[i].events);
		}
		advance();
	}
}
