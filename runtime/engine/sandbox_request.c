/* What is asked of a sandbox that runs: exec, signal, stats, destroy. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox.h"

static struct sandbox *find_running(struct engine *engine, const struct message *message)
{
	const char *id = message_get(message, "id");
	struct sandbox *sandbox = sandbox_find(engine, id);
	if (sandbox && sandbox->state == RUNNING)
		return sandbox;
	refuse("request", "no sandbox %s runs here", id ? id : "(no id)");
	reply_fault(engine, message->id, "not_found");
	return NULL;
}

static int send_exec(struct engine *engine, struct sandbox *sandbox,
                     const struct message *message)
{
	struct command command = { .type = COMMAND_EXEC, .number = sandbox->exec_count + 1 };
	const char *token = message_get(message, "logs");
	cleanup_fd int body = memfd_create("exec", MFD_CLOEXEC);
	cleanup_fd int logs = -1;
	if (body < 0 || write_whole(body, message->body, message->length))
		return fault("exec", "request");
	if (token && (logs = connect_stream(engine, token)) < 0)
		return -1;
	int fds[2] = { body, logs };
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), fds, logs < 0 ? 1 : 2))
		return fault("exec", "init does not listen");
	return 0;
}

void sandbox_exec(struct engine *engine, const struct message *message)
{
	const char *name = message_get(message, "exec");
	struct program program = { 0 };
	struct sandbox *sandbox = find_running(engine, message);
	if (!sandbox)
		return;
	int bad = program_parse(&program, message);
	program_free(&program);
	if (!name || !valid_name(name))
		bad = refuse("request", "exec is missing or not a name");
	if (bad || send_exec(engine, sandbox, message)) {
		reply_fault(engine, message->id, bad ? "bad_request" : "exec_failed");
		return;
	}
	struct pending_exec *exec = need_memory(sizeof(*exec));
	exec->number = ++sandbox->exec_count;
	exec->request = message->id;
	snprintf(exec->name, sizeof(exec->name), "%s", name);
	exec->next = sandbox->execs;
	sandbox->execs = exec;
}

void sandbox_signal(struct engine *engine, const struct message *message)
{
	struct command command = { .type = COMMAND_SIGNAL };
	const char *all = message_get(message, "all");
	uint64_t number = 0;
	struct sandbox *sandbox = find_running(engine, message);
	if (!sandbox)
		return;
	if (number_parse(message, "signal", &number) || number < 1 || number > 64) {
		refuse("request", "signal is not a number from 1 to 64");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	command.signal = (int)number;
	command.all = all && !strcmp(all, "1");
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), NULL, 0)) {
		fault("signal", "init does not listen");
		reply_fault(engine, message->id, "not_found");
		return;
	}
	if (number == SIGKILL)
		sandbox->killed = true;
	reply_ok(engine, message->id);
}

static void engine_stats(struct engine *engine, const struct message *message)
{
	size_t begin = frame_begin(&engine->out, message->id);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "sandboxes", "%u", engine->sandbox_count);
	frame_field(&engine->out, "fds", "%d", count_fds(engine->procfd));
	frame_field(&engine->out, "children", "%u",
	            engine->sandbox_count + engine->job_count + (engine->relay_pid > 0));
	frame_end(&engine->out, begin);
}

void sandbox_stats(struct engine *engine, const struct message *message)
{
	struct usage usage = { -1, -1, -1, -1, -1, -1 };
	if (!message_get(message, "id")) {
		engine_stats(engine, message);
		return;
	}
	struct sandbox *sandbox = find_running(engine, message);
	if (!sandbox)
		return;
	engine->limits.mode->usage(&engine->limits, &sandbox->group, sandbox->pid, &usage);
	const struct {
		const char *key;
		int64_t value;
	} fields[] = { { "memory", usage.memory },
		           { "memory_peak", usage.memory_peak },
		           { "cpu_us", usage.cpu_us },
		           { "pids", usage.pids },
		           { "processes", usage.processes },
		           { "oom_kills", usage.oom_kills } };
	size_t begin = frame_begin(&engine->out, message->id);
	frame_field(&engine->out, "ok", "1");
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		if (fields[i].value >= 0)
			frame_field(&engine->out, fields[i].key, "%lld", (long long)fields[i].value);
	frame_end(&engine->out, begin);
}

void sandbox_destroy(struct engine *engine, const struct message *message)
{
	const char *id = message_get(message, "id");
	struct sandbox *sandbox = sandbox_find(engine, id);
	if (!id) {
		refuse("request", "id is missing");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	if (!sandbox) {
		reply_ok(engine, message->id);
		return;
	}
	struct waiter *waiter = need_memory(sizeof(*waiter));
	waiter->request = message->id;
	waiter->next = sandbox->waiters;
	sandbox->waiters = waiter;
	/* A program that had ended already was not killed. */
	if (sandbox->state != LEAVING)
		sandbox->killed |= !sandbox->has_status;
	sandbox_kill(sandbox);
}
