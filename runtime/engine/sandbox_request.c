/* What is asked of a sandbox as a whole: stats, destroy. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "zygote.h"

struct sandbox *sandbox_find_running(struct engine *engine, const struct message *message)
{
	const char *id = message_get(message, "id");
	struct sandbox *sandbox = sandbox_find(engine, id);
	if (sandbox && sandbox->state == RUNNING)
		return sandbox;
	refuse("request", "no sandbox %s runs here", id ? id : "(no id)");
	reply_fault(engine, message->id, "not_found");
	return NULL;
}

struct sandbox *sandbox_find_awake(struct engine *engine, const struct message *message)
{
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox || !sandbox->frozen)
		return sandbox;
	refuse("request", "sandbox %s is frozen: thaw it first", sandbox->id);
	reply_fault(engine, message->id, "frozen");
	return NULL;
}

static void engine_stats(struct engine *engine, const struct message *message)
{
	size_t begin = frame_begin(&engine->out, message->id);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "sandboxes", "%u", engine->sandbox_count);
	/* Without those of what is made ahead: how much of it there is depends on the moment. */
	frame_field(&engine->out, "fds", "%d",
	            count_fds(engine->procfd) - limits_stock_fds(&engine->limits) -
	                    (int)engine->net.ready);
	frame_field(&engine->out, "background", "%u",
	            limits_to_do(&engine->limits) + net_stock_to_do(engine));
	frame_field(&engine->out, "children", "%u",
	            engine->sandbox_count + engine->job_count + (engine->relay_pid > 0) +
	                    (engine->net.process.fd >= 0) + zygote_count(engine));
	frame_field(&engine->out, "ids", "%u", engine->ids.taken);
	frame_end(&engine->out, begin);
}

void sandbox_stats(struct engine *engine, const struct message *message)
{
	struct usage usage = { -1, -1, -1, -1, -1, -1 };
	if (!message_get(message, "id")) {
		engine_stats(engine, message);
		return;
	}
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	engine->limits.mode->usage(&engine->limits, &sandbox->group, sandbox->pid, false,
	                           &usage);
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
	sandbox->killed |= !sandbox->has_status;
	sandbox_kill(engine, sandbox);
}
