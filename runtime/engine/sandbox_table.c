/*
 * Which sandboxes there are: by id, and those that need ticks. Nothing here takes longer when
 * there are more of them, but the memory watcher, which has a share of the time.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

/* Of each tick's 50 ms. With more sandboxes than this is enough for, each is looked at less often. */
#define WATCH_US 10000

static struct sandbox **bucket_of(struct engine *engine, const char *id)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619u;
	return &engine->buckets[hash % ARRAY_LENGTH(engine->buckets)];
}

struct sandbox *sandbox_find(struct engine *engine, const char *id)
{
	struct sandbox *sandbox = id ? *bucket_of(engine, id) : NULL;
	while (sandbox && strcmp(sandbox->id, id))
		sandbox = sandbox->same_bucket;
	return sandbox;
}

void table_add(struct engine *engine, struct sandbox *sandbox)
{
	struct sandbox **bucket = bucket_of(engine, sandbox->id);
	sandbox->same_bucket = *bucket;
	*bucket = sandbox;
	sandbox->next = engine->sandboxes;
	if (sandbox->next)
		sandbox->next->previous = sandbox;
	engine->sandboxes = sandbox;
	engine->sandbox_count++;
}

static void unlink_tick(struct engine *engine, struct sandbox *sandbox)
{
	struct sandbox **link = &engine->ticking;
	while (*link && *link != sandbox)
		link = &(*link)->next_ticking;
	if (*link)
		*link = sandbox->next_ticking;
	sandbox->ticks = false;
}

void table_remove(struct engine *engine, struct sandbox *sandbox)
{
	struct sandbox **link = bucket_of(engine, sandbox->id);
	while (*link != sandbox)
		link = &(*link)->same_bucket;
	*link = sandbox->same_bucket;
	if (sandbox->previous)
		sandbox->previous->next = sandbox->next;
	else
		engine->sandboxes = sandbox->next;
	if (sandbox->next)
		sandbox->next->previous = sandbox->previous;
	if (engine->watched == sandbox)
		engine->watched = sandbox->next;
	if (sandbox->ticks)
		unlink_tick(engine, sandbox);
	engine->sandbox_count--;
}

void sandbox_needs_ticks(struct engine *engine, struct sandbox *sandbox)
{
	if (sandbox->ticks)
		return;
	sandbox->ticks = true;
	sandbox->next_ticking = engine->ticking;
	engine->ticking = sandbox;
}

bool sandbox_wants_ticks(const struct engine *engine)
{
	return engine->ticking || (engine->limits.mode->watch && engine->sandboxes);
}

/* Goes on where the last tick had to stop. */
static void watch_memory(struct engine *engine)
{
	uint64_t began = now_us();
	for (unsigned looked = 0; looked < engine->sandbox_count; looked++) {
		struct sandbox *sandbox = engine->watched ? engine->watched : engine->sandboxes;
		engine->watched = sandbox->next;
		/* Nothing runs there that could take more. */
		if (sandbox->frozen)
			continue;
		engine->limits.mode->watch(&engine->limits, &sandbox->group, sandbox->pid);
		if (sandbox->group.over)
			sandbox_kill(engine, sandbox);
		if (now_us() - began > WATCH_US)
			return;
	}
}

void sandbox_tick(struct engine *engine)
{
	struct sandbox *next;
	for (struct sandbox *sandbox = engine->ticking; sandbox; sandbox = next) {
		next = sandbox->next_ticking;
		freeze_tick(engine, sandbox);
		connect_tick(engine, sandbox);
		if (!sandbox->freeze_request && !sandbox->dialing)
			unlink_tick(engine, sandbox);
	}
	if (engine->limits.mode->watch)
		watch_memory(engine);
}
