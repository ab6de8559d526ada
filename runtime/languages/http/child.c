/* INIT: what to start, starting it, and reaching its port. */
#include "wafer-http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEFAULT_PORT = 8080, MAX_LIST = 4096 };

static const char *const KEPT_ENV[] = {"PATH", "HOME", "TMPDIR", "LANG", "TZ"};

static void list_add(char ***list, size_t *n, char *item)
{
	char **grown = realloc(*list, (*n + 2) * sizeof *grown);
	if (!grown)
		die(EXIT_PROTOCOL, "out of memory for the settings");
	*list = grown;
	grown[(*n)++] = item;
	grown[*n] = NULL;
}

static char *pair(const char *name, const char *value)
{
	struct buf b = {0};
	buf_fmt(&b, "%s=%s", name, value);
	buf_add(&b, "", 1);
	return b.data;
}

static bool env_has(char **env, const char *name)
{
	size_t n = strlen(name);
	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return true;
	return false;
}

static void parse_env(struct json *j, struct settings *s, size_t *n)
{
	bool first = true;
	json_enter(j, '{');
	while (json_more(j, '}', &first) && *n < MAX_LIST) {
		char *name = json_key(j), *value = json_string(j);
		if (strcmp(name, "PORT") == 0)
			s->port = atoi(value);
		if (*name && !strchr(name, '=') && strcmp(name, "WAFER_FUNCTION") != 0 && strcmp(name, "WAFER_VERSION") != 0)
			list_add(&s->env, n, pair(name, value));
		free(name);
		free(value);
	}
}

static void complete_env(struct settings *s, size_t n)
{
	char number[32];
	for (size_t i = 0; i < sizeof KEPT_ENV / sizeof *KEPT_ENV; i++)
		if (getenv(KEPT_ENV[i]) && !env_has(s->env, KEPT_ENV[i]))
			list_add(&s->env, &n, pair(KEPT_ENV[i], getenv(KEPT_ENV[i])));
	snprintf(number, sizeof number, "%lld", s->version);
	if (!env_has(s->env, "PORT")) {
		s->port = DEFAULT_PORT;
		list_add(&s->env, &n, pair("PORT", "8080"));
	}
	list_add(&s->env, &n, pair("WAFER_FUNCTION", s->name ? s->name : ""));
	list_add(&s->env, &n, pair("WAFER_VERSION", number));
}

/* NULL when the payload is not what INIT must be. Lives as long as the program. */
struct settings *settings_parse(const char *json, size_t n)
{
	struct settings *s = xmalloc(sizeof *s);
	struct json j = {json, json + n, false};
	size_t args = 0, vars = 0;
	bool first = true;
	json_enter(&j, '{');
	while (json_more(&j, '}', &first)) {
		char *key = json_key(&j);
		bool more = true;
		if (strcmp(key, "functionName") == 0) {
			s->name = json_string(&j);
		} else if (strcmp(key, "codePath") == 0) {
			s->code_path = json_string(&j);
		} else if (strcmp(key, "version") == 0) {
			s->version = json_integer(&j);
		} else if (strcmp(key, "maxResultBytes") == 0) {
			s->max_result = json_integer(&j);
		} else if (strcmp(key, "env") == 0) {
			parse_env(&j, s, &vars);
		} else if (strcmp(key, "command") == 0) {
			json_enter(&j, '[');
			while (json_more(&j, ']', &more) && args < MAX_LIST)
				list_add(&s->argv, &args, json_string(&j));
		} else {
			json_skip(&j, 0);
		}
		free(key);
	}
	complete_env(s, vars);
	return j.bad || !s->code_path || s->port < 1 || s->port > 65535 ? NULL : s;
}

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

/* Starts the command in its own process group; -1 with the reason in `error`. */
pid_t child_start(struct settings *s, struct buf *error)
{
	int report[2], code = 0;
	if (!s->argv || !s->argv[0]) {
		buf_str(error, "the command is empty; set \"command\" in wafer.json");
		return -1;
	}
	if (pipe2(report, O_CLOEXEC) < 0)
		die(EXIT_PROTOCOL, "pipe: %s", strerror(errno));
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

/* A socket to the server, or -1; `pending` when the connection is still being made. */
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
