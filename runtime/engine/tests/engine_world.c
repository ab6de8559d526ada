/* What the engine tests share: sandboxes made, run and ended, answers expected. */
#define _GNU_SOURCE
#include "engine_tests.h"

struct driver driver;
const char *engine_path, *probe_path, *limits_mode;
char out[1 << 20], err[65536];

bool single(void)
{
	return !strcmp(field(&driver.ready, "ids"), "single");
}

struct ending take_exit(const char *id)
{
	struct message event = driver_event(&driver);
	struct ending ending = { -1, -1, "" };
	check(!strcmp(field(&event, "event"), "exit") && !strcmp(field(&event, "id"), id),
	      "event %s of %s", field(&event, "event"), field(&event, "id"));
	if (message_get(&event, "status"))
		ending.status = atoi(field(&event, "status"));
	if (message_get(&event, "signal"))
		ending.signal = atoi(field(&event, "signal"));
	snprintf(ending.reason, sizeof(ending.reason), "%s", field(&event, "reason"));
	check(message_get(&event, "cpu_us") && message_get(&event, "memory_peak"), "usage");
	message_free(&event);
	return ending;
}

int create(const char *id, const char *const *fields, pid_t *pid)
{
	char name[64], token[64], wanted[80];
	const char *all[64] = { "op=create", name, token };
	int count = 3;
	snprintf(name, sizeof(name), "id=%s", id);
	snprintf(token, sizeof(token), "logs=logs-%s", id);
	snprintf(wanted, sizeof(wanted), "logs-%s", id);
	while (*fields)
		all[count++] = *fields++;
	uint32_t request = driver_send(&driver, all);
	int logs = driver_accept(&driver, wanted);
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok"), "%s: %s", field(&reply, "step"), field(&reply, "message"));
	if (pid)
		*pid = atoi(field(&reply, "pid"));
	message_free(&reply);
	return logs;
}

static void ask(const char *operation, const char *key, const char *name)
{
	char pair[64];
	snprintf(pair, sizeof(pair), "%s=%s", key, name);
	struct message reply = driver_ask(&driver, FIELDS(operation, pair));
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
}

void destroy(const char *id)
{
	ask("op=destroy", "id", id);
	take_exit(id);
}

struct ending run(const char *const *fields)
{
	driver_logs(create("run", fields, NULL), out, sizeof(out), err, sizeof(err));
	return take_exit("run");
}

void expect_refused(const char *code, const char *text, const char *const *fields)
{
	struct message reply = driver_ask(&driver, fields);
	check(!strcmp(field(&reply, "error"), code), "%s is %s: %s", text, field(&reply, "error"),
	      field(&reply, "message"));
	check(strstr(field(&reply, "message"), text), "\"%s\" is not in \"%s\"", text,
	      field(&reply, "message"));
	check(message_get(&reply, "step"), "step");
	message_free(&reply);
}

bool has_line(const char *line)
{
	size_t length = strlen(line);
	for (const char *at = strstr(out, line); at; at = strstr(at + 1, line))
		if ((at == out || at[-1] == '\n') && (at[length] == '\n' || !at[length]))
			return true;
	return false;
}

void expect_lines(const char *const *lines)
{
	for (; *lines; lines++)
		check(has_line(*lines), "\"%s\" is not in:\n%s", *lines, out);
}

void remove_work(const char *name)
{
	ask("op=remove", "work", name);
}
