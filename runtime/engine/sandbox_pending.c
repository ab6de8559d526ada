/* What pid 1 was asked for and has not finished, by number. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "sandbox.h"

struct pending *pending_add(struct sandbox *sandbox, enum asked what, uint32_t request,
                            const char *name)
{
	struct pending *pending = need_memory(sizeof(*pending));
	pending->what = what;
	pending->number = ++sandbox->asked;
	pending->request = request;
	snprintf(pending->name, sizeof(pending->name), "%s", name);
	pending->next = sandbox->pending;
	sandbox->pending = pending;
	return pending;
}

static void end_pending(struct pending **link)
{
	struct pending *pending = *link;
	*link = pending->next;
	free(pending);
}

void pending_free(struct engine *engine, struct sandbox *sandbox)
{
	while (sandbox->pending) {
		if (sandbox->pending->request) {
			refuse("request", "the sandbox ended");
			reply_fault(engine, sandbox->pending->request, "not_found");
		}
		end_pending(&sandbox->pending);
	}
}

static void answer_exec(struct engine *engine, struct pending *exec)
{
	size_t begin = frame_begin(&engine->out, exec->request);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "pid", "%d", exec->pid);
	frame_end(&engine->out, begin);
	exec->request = 0;
}

static void send_exec_exit(struct engine *engine, const struct sandbox *sandbox,
                           const struct pending *exec, int status)
{
	size_t begin = frame_begin(&engine->out, 0);
	frame_field(&engine->out, "event", "exec-exit");
	frame_field(&engine->out, "id", "%s", sandbox->id);
	frame_field(&engine->out, "exec", "%s", exec->name);
	frame_field(&engine->out, WIFSIGNALED(status) ? "signal" : "status", "%d",
	            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	frame_end(&engine->out, begin);
}

static void done(struct engine *engine, struct sandbox *sandbox, const struct pending *pending,
                 int fd)
{
	if (pending->what == ASKED_CONNECT)
		connect_wait(engine, sandbox, pending, fd);
	else if (pending->what == ASKED_SIGNAL)
		reply_ok(engine, pending->request);
	else
		freeze_done(engine, sandbox, pending);
}

void pending_report(struct engine *engine, struct sandbox *sandbox, const struct report *report,
                    pid_t sender, int fd)
{
	struct pending **link = &sandbox->pending, *pending;
	while (*link && (*link)->number != report->number)
		link = &(*link)->next;
	pending = *link;
	if (!pending)
		return;
	if (report->type == REPORT_STARTING) {
		pending->pid = sender;
	} else if (report->type == REPORT_STARTED) {
		answer_exec(engine, pending);
	} else if (report->type == REPORT_FAULT) {
		last_fault = report->fault;
		reply_fault(engine, pending->request,
		            pending->what == ASKED_CONNECT ? "connect_failed" : "exec_failed");
		end_pending(link);
	} else if (report->type == REPORT_EXIT) {
		send_exec_exit(engine, sandbox, pending, (int)report->value);
		end_pending(link);
	} else if (report->type == REPORT_DONE && pending->what != ASKED_EXEC) {
		done(engine, sandbox, pending, fd);
		end_pending(link);
	}
}
