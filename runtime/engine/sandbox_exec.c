/* Programs of a sandbox, by name: starting another one, signals, the size of a terminal, their ends. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

static int send_exec(struct engine *engine, struct sandbox *sandbox,
                     const struct message *message, const struct program *program)
{
	struct command command = { .type = COMMAND_EXEC,
		                       .number = sandbox->exec_count + 1,
		                       .has_logs = program->logs != NULL,
		                       .has_input = program->input != NULL };
	cleanup_fd int body = memfd_create("exec", MFD_CLOEXEC);
	cleanup_fd int logs = -1;
	cleanup_fd int input = -1;
	if (body < 0 || write_whole(body, message->body, message->length))
		return fault("exec", "request");
	if ((program->logs && (logs = connect_stream(engine, program->logs)) < 0) ||
	    (program->input && (input = connect_stream(engine, program->input)) < 0))
		return -1;
	int fds[3] = { body };
	size_t count = 1;
	if (logs >= 0)
		fds[count++] = logs;
	if (input >= 0)
		fds[count++] = input;
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), fds, count))
		return fault("exec", "init does not listen");
	return 0;
}

void sandbox_exec(struct engine *engine, const struct message *message)
{
	const char *name = message_get(message, "exec");
	struct program program = { 0 };
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	int bad = program_parse(&program, message, false);
	if (!name || !valid_name(name))
		bad = refuse("request", "exec is missing or not a name");
	if (bad || send_exec(engine, sandbox, message, &program)) {
		reply_fault(engine, message->id, bad ? "bad_request" : "exec_failed");
	} else {
		struct pending_exec *exec = need_memory(sizeof(*exec));
		exec->number = ++sandbox->exec_count;
		exec->request = message->id;
		exec->terminal = program.terminal.given;
		snprintf(exec->name, sizeof(exec->name), "%s", name);
		exec->next = sandbox->execs;
		sandbox->execs = exec;
	}
	program_free(&program);
}

static struct pending_exec **find_exec(struct sandbox *sandbox, uint32_t number)
{
	struct pending_exec **link = &sandbox->execs;
	while (*link && (*link)->number != number)
		link = &(*link)->next;
	return link;
}

static void end_exec(struct pending_exec **link)
{
	struct pending_exec *exec = *link;
	*link = exec->next;
	free(exec);
}

void execs_free(struct engine *engine, struct sandbox *sandbox)
{
	while (sandbox->execs) {
		if (sandbox->execs->request) {
			refuse("exec", "the sandbox ended");
			reply_fault(engine, sandbox->execs->request, "not_found");
		}
		end_exec(&sandbox->execs);
	}
}

void exec_report(struct engine *engine, struct sandbox *sandbox, const struct report *report,
                 pid_t sender)
{
	struct pending_exec **link = find_exec(sandbox, report->number), *exec = *link;
	if (!exec)
		return;
	if (report->type == REPORT_STARTING) {
		exec->pid = sender;
	} else if (report->type == REPORT_FAULT) {
		last_fault = report->fault;
		reply_fault(engine, exec->request, "exec_failed");
		end_exec(link);
	} else if (report->type == REPORT_STARTED) {
		size_t begin = frame_begin(&engine->out, exec->request);
		frame_field(&engine->out, "ok", "1");
		frame_field(&engine->out, "pid", "%d", exec->pid);
		frame_end(&engine->out, begin);
		exec->request = 0;
	} else if (report->type == REPORT_EXIT) {
		int status = (int)report->value;
		size_t begin = frame_begin(&engine->out, 0);
		frame_field(&engine->out, "event", "exec-exit");
		frame_field(&engine->out, "id", "%s", sandbox->id);
		frame_field(&engine->out, "exec", "%s", exec->name);
		frame_field(&engine->out, WIFSIGNALED(status) ? "signal" : "status", "%d",
		            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		frame_end(&engine->out, begin);
		end_exec(link);
	}
}

/* ---- signal and resize ---- */

/* Which program `exec` means, the first one without it; false after answering. */
static bool find_program(struct engine *engine, const struct message *message,
                         struct sandbox *sandbox, uint32_t *number, bool *terminal)
{
	const char *name = message_get(message, "exec");
	const struct pending_exec *exec = name ? sandbox->execs : NULL;
	while (exec && strcmp(exec->name, name))
		exec = exec->next;
	if (exec || (!name && !sandbox->parked)) {
		*number = exec ? exec->number : 0;
		*terminal = exec ? exec->terminal : sandbox->terminal;
		return true;
	}
	refuse("request", "no program %.64s runs in sandbox %s", name ? name : "of its own", sandbox->id);
	reply_fault(engine, message->id, "not_found");
	return false;
}

static void send_command(struct engine *engine, const struct message *message,
                         const struct sandbox *sandbox, const struct command *command)
{
	if (send_with_fds(sandbox->commands.fd, command, sizeof(*command), NULL, 0)) {
		fault("request", "init does not listen");
		reply_fault(engine, message->id, "not_found");
	} else {
		reply_ok(engine, message->id);
	}
}

void sandbox_signal(struct engine *engine, const struct message *message)
{
	struct command command = { .type = COMMAND_SIGNAL };
	const char *all = message_get(message, "all");
	uint64_t number = 0;
	bool terminal;
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	if (number_parse(message, "signal", &number) || number < 1 || number > 64) {
		refuse("request", "signal is not a number from 1 to 64");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	command.signal = (int)number;
	command.all = all && !strcmp(all, "1");
	if (!command.all && !find_program(engine, message, sandbox, &command.number, &terminal))
		return;
	if (number == SIGKILL && !command.number)
		sandbox->killed = true;
	send_command(engine, message, sandbox, &command);
}

void sandbox_resize(struct engine *engine, const struct message *message)
{
	struct command command = { .type = COMMAND_RESIZE };
	struct window window;
	bool terminal;
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox || !find_program(engine, message, sandbox, &command.number, &terminal))
		return;
	int bad = window_parse(&window, message);
	if (!bad && !window.given)
		bad = refuse("request", "terminal is missing");
	if (!bad && !terminal)
		bad = refuse("request", "the program has no terminal");
	if (bad) {
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	command.rows = window.rows;
	command.columns = window.columns;
	send_command(engine, message, sandbox, &command);
}
