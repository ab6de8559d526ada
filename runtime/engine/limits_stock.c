/*
 * Groups are made before a sandbox needs them and removed some time after it has ended, while
 * the engine has nothing else to do. None is used twice: what it has counted stays with it.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "limits.h"
#include "util.h"

bool limits_take(struct limits *limits, struct limits_group *group)
{
	if (limits->stocked == 0)
		return false;
	*group = limits->stock[--limits->stocked];
	return true;
}

static void drop_first(struct limits *limits)
{
	limits->leaving_count--;
	memmove(limits->leaving, limits->leaving + 1,
	        limits->leaving_count * sizeof(limits->leaving[0]));
}

static void remove_first(struct limits *limits)
{
	char name[GROUP_NAME_LENGTH];
	snprintf(name, sizeof(name), "%s", limits->leaving[0]);
	drop_first(limits);
	if (limits->mode->remove(limits, name))
		return;
	/* Behind the others. */
	limits->is_busy = true;
	memcpy(limits->leaving[limits->leaving_count++], name, sizeof(name));
}

void limits_give(struct limits *limits, const char *name)
{
	/* Whatever waits for it: never more than so many. What can not go now is swept by the next engine. */
	if (limits->leaving_count == LIMITS_LEAVING) {
		remove_first(limits);
		if (limits->leaving_count == LIMITS_LEAVING)
			drop_first(limits);
	}
	snprintf(limits->leaving[limits->leaving_count++], GROUP_NAME_LENGTH, "%s", name);
}

bool limits_has_work(const struct limits *limits)
{
	return (limits->leaving_count > 0 && !limits->is_busy) ||
	       (limits->mode->make && limits->stocked < LIMITS_STOCK && !limits->make_failed);
}

unsigned limits_to_do(const struct limits *limits)
{
	return limits->leaving_count + (limits->mode->make ? LIMITS_STOCK - limits->stocked : 0);
}

void limits_work(struct limits *limits)
{
	if (limits->stocked < LIMITS_STOCK && limits->mode->make && !limits->make_failed) {
		/* Not again before the next tick; who needs one meanwhile is told why there is none. */
		limits->make_failed = limits_make(limits, &limits->stock[limits->stocked]) != 0;
		limits->stocked += !limits->make_failed;
	} else if (limits->leaving_count > 0) {
		remove_first(limits);
	}
}

void limits_tick(struct limits *limits)
{
	limits->is_busy = limits->make_failed = false;
}

bool limits_wants_ticks(const struct limits *limits)
{
	return limits->is_busy || limits->make_failed;
}

int limits_stock_fds(const struct limits *limits)
{
	int count = 0;
	for (unsigned i = 0; i < limits->stocked; i++) {
		count += limits->stock[i].directory >= 0;
		for (int j = 0; j < V1_CONTROLLERS; j++)
			count += limits->stock[i].tasks[j] >= 0;
	}
	return count;
}

void limits_end(struct limits *limits)
{
	while (limits->stocked > 0)
		limits->mode->remove(limits, limits->stock[--limits->stocked].name);
	for (unsigned i = 0; i < limits->leaving_count; i++)
		limits->mode->remove(limits, limits->leaving[i]);
}
