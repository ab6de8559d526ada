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
 *
 *   main.c            the phases, and what frames and the child's end mean in each
 *   |- settings.c     INIT
 *   |- child.c        the server: starting it, reaching its port
 *   |- calls.c        the calls that are open
 *   |  `- call.c      one call: its connection, by child.c
 *   |     |- request.c    the request, into a buffer
 *   |     |- response.c   the answer, out of bytes; head and body go to a sink it is given
 *   |     `- answer.c     that sink: RESULT, BODY, END or ERROR for the host
 *   `- control.c      fd 3: frames in and out; calls above use it too
 *
 * Below all: loop.c (epoll), json.c, buf.c, util.c. Calls go downward only; a lower file
 * reaches an upper one by the function that it was given.
 */
#include "wafer-http.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROBE_FIRST_MS = 1, PROBE_MAX_MS = 20, TERM_GRACE_MS = 1000 };

enum phase { BLANK, STARTING, SERVING, DRAINING, STOPPING };

static struct {
	enum phase phase;
	int signals, probe_ms;
	uint32_t last_call;
	struct settings *settings;
	pid_t child;
	bool child_ended;
	int child_status;
} self = {.child = -1};

/* Frames */

static NORETURN void fail_init(const char *text, size_t n)
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
		die("a second INIT");
	self.settings = settings_parse(json, n);
	if (!self.settings)
		die("INIT is not what it must be");
	self.phase = STARTING;
	self.probe_ms = PROBE_FIRST_MS;
	self.child = child_start(self.settings, &error);
	if (self.child < 0)
		fail_init(buf_at(&error), error.len);
	kill_at_exit(self.child);
}

static void on_call_frame(int type, uint32_t number, const char *bytes, size_t n)
{
	struct call *c = calls_find(number);
	if (number == 0 || number > self.last_call)
		die("frame type %d of the unknown call %u", type, number);
	if (!c)
		return;
	if (type == T_BODY)
		call_body(c, bytes, n);
	else if (type == T_END)
		call_complete(c);
	else if (type == T_CANCEL)
		call_cancel(c);
	else if (n == 4)
		call_credit(c, frame_u32(bytes));
	else
		die("CREDIT has %zu bytes", n);
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
			die("CALL %u comes out of order", number);
		self.last_call = number;
		if (!calls_open(number, self.settings, bytes, n))
			die("CALL %u is not what it must be", number);
	} else if (type >= T_BODY && type <= T_CREDIT) {
		on_call_frame(type, number, bytes, n);
	} else {
		die("frame type %d is unknown", type);
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
	if (port_accepts(self.settings->port)) {
		self.phase = SERVING;
		control_send(H_INIT_OK, 0, "{}", 2);
	} else if (self.probe_ms < PROBE_MAX_MS) {
		self.probe_ms *= 2;
	}
}

/* The rounds */

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
	static struct source signals = {on_signal};
	static uint32_t watched;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self.signals < 0)
		die("signalfd: %s", strerror(errno));
	watch(self.signals, &signals, &watched, EPOLLIN);
}

int main(void)
{
	static const char ready[] = "{\"protocol\":1,\"runtime\":\"http\",\"runtimeVersion\":\"1\"}";
	loop_open();
	open_signals();
	control_open(on_frame);
	control_send(H_READY, 0, ready, sizeof ready - 1);
	control_flush();
	for (;;) {
		control_watch();
		int n = loop_round(timeout());
		if (n == 0 && self.phase == STOPPING && !self.child_ended)
			leave(0);
		advance();
	}
}
