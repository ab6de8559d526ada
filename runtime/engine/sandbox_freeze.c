/*
 * Freezing: by the limit mode's freezer, else by signals that pid 1 sends to all others.
 * What pid 1 would have to do is refused meanwhile; stats and files go on.
 */
#define _GNU_SOURCE
#include <signal.h>

#include "sandbox.h"

#define PATIENCE_US (10 * 1000000ULL)

static enum freezing by_group(struct engine *engine, struct sandbox *sandbox, bool stop)
{
	if (!engine->limits.mode->freeze)
		return FREEZE_BY_SIGNALS;
	return engine->limits.mode->freeze(&engine->limits, &sandbox->group, stop);
}

static void by_signals(struct engine *engine, struct sandbox *sandbox, uint32_t request, bool stop)
{
	struct command command = { .type = COMMAND_SIGNAL,
		                       .number = sandbox->asked + 1,
		                       .signal = stop ? SIGSTOP : SIGCONT,
		                       .all = true };
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), NULL, 0)) {
		fault("freeze", "init does not listen");
		reply_fault(engine, request, "freeze_failed");
		return;
	}
	pending_add(sandbox, stop ? ASKED_STOP : ASKED_CONTINUE, request, "");
	sandbox->frozen = stop;
}

void freeze_done(struct engine *engine, struct sandbox *sandbox, const struct pending *pending)
{
	sandbox->frozen = pending->what == ASKED_STOP;
	reply_ok(engine, pending->request);
}

void freeze_tick(struct engine *engine, struct sandbox *sandbox)
{
	if (!sandbox->freeze_request)
		return;
	if (engine->limits.mode->is_frozen(&engine->limits, &sandbox->group)) {
		reply_ok(engine, sandbox->freeze_request);
	} else if (now_us() - sandbox->freeze_began > PATIENCE_US) {
		by_group(engine, sandbox, false);
		sandbox->frozen = false;
		refuse("freeze", "not every process could be stopped within 10 s");
		reply_fault(engine, sandbox->freeze_request, "freeze_failed");
	} else {
		return;
	}
	sandbox->freeze_request = 0;
}

static void begin(struct engine *engine, struct sandbox *sandbox, uint32_t request, bool stop)
{
	switch (by_group(engine, sandbox, stop)) {
	case FREEZE_BY_SIGNALS:
		by_signals(engine, sandbox, request, stop);
		return;
	case FREEZE_FAILED:
		reply_fault(engine, request, "freeze_failed");
		return;
	case FREEZE_BEGUN:
		sandbox->frozen = stop;
		if (!stop) {
			reply_ok(engine, request);
			return;
		}
		sandbox->freeze_request = request;
		sandbox->freeze_began = now_us();
		sandbox_needs_ticks(engine, sandbox);
		freeze_tick(engine, sandbox);
	}
}

static void change(struct engine *engine, const struct message *message, bool stop)
{
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	if (sandbox->freeze_request && stop) {
		refuse("freeze", "sandbox %s is being frozen", sandbox->id);
		reply_fault(engine, message->id, "freeze_failed");
		return;
	}
	if (sandbox->freeze_request) {
		refuse("freeze", "the sandbox is thawed");
		reply_fault(engine, sandbox->freeze_request, "freeze_failed");
		sandbox->freeze_request = 0;
	}
	if (sandbox->frozen == stop) {
		reply_ok(engine, message->id);
	} else {
		begin(engine, sandbox, message->id, stop);
	}
}

void sandbox_freeze(struct engine *engine, const struct message *message)
{
	change(engine, message, true);
}

void sandbox_thaw(struct engine *engine, const struct message *message)
{
	change(engine, message, false);
}

void freeze_let_die(struct engine *engine, struct sandbox *sandbox)
{
	if (sandbox->freeze_request) {
		refuse("freeze", "the sandbox is ended");
		reply_fault(engine, sandbox->freeze_request, "freeze_failed");
		sandbox->freeze_request = 0;
	}
	if (sandbox->frozen && engine->limits.mode->freeze)
		by_group(engine, sandbox, false);
	sandbox->frozen = false;
}

void sandboxes_let_die(struct engine *engine)
{
	for (struct sandbox *sandbox = engine->sandboxes; sandbox; sandbox = sandbox->next)
		if (sandbox->frozen)
			sandbox_kill(engine, sandbox);
}
