/* Programs of a sandbox, by name: starting another one, signals, the size of a terminal. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox.h"

static int send_exec(struct engine *engine, struct sandbox *sandbox,
                     const struct message *message, const struct program *program)
{
	struct command command = { .type = COMMAND_EXEC,
		                       .number = sandbox->asked + 1,
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
	struct sandbox *sandbox = sandbox_find_awake(engine, message);
	if (!sandbox)
		return;
	int bad = program_parse(&program, message, false);
	if (!name || !valid_name(name))
		bad = refuse("request", "exec is missing or not a name");
	if (bad || send_exec(engine, sandbox, message, &program)) {
		reply_fault(engine, message->id, bad ? "bad_request" : "exec_failed");
	} else {
		pending_add(sandbox, ASKED_EXEC, message->id, name)->terminal = program.terminal.given;
	}
	program_free(&program);
}

/* ---- signal and resize ---- */

/* Which program `exec` means, the first one without it; false after answering. */
static bool find_program(struct engine *engine, const struct message *message,
                         struct sandbox *sandbox, uint32_t *number, bool *terminal)
{
	const char *name = message_get(message, "exec");
	const struct pending *exec = name ? sandbox->pending : NULL;
	while (exec && (exec->what != ASKED_EXEC || strcmp(exec->name, name)))
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
	if (!command.all) {
		send_command(engine, message, sandbox, &command);
		return;
	}
	command.number = sandbox->asked + 1;
	if (!send_with_fds(sandbox->commands.fd, &command, sizeof(command), NULL, 0)) {
		pending_add(sandbox, ASKED_SIGNAL, message->id, "");
		return;
	}
	fault("request", "init does not listen");
	reply_fault(engine, message->id, "not_found");
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
