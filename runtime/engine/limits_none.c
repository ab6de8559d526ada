/*
 * No cgroup: rlimits hold processes, and a watcher sums up the memory of the
 * sandbox's processes every tick. Weaker than a cgroup (a burst between two
 * ticks passes, files of a tmpfs count only by the tmpfs's own size), and the
 * engine says so in its first event.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "limits.h"
#include "processes.h"
#include "util.h"

static bool probe(struct limits *limits)
{
	snprintf(limits->detail, sizeof(limits->detail),
	         "no cgroup: rlimits and a memory watcher (weaker)");
	return true;
}

/* The memory watcher takes its limit from the group; processes hold theirs themselves. */
static int change(struct limits *limits, struct limits_group *group, pid_t init,
                  const struct shares *shares)
{
	const struct rlimit limit = { shares->pids, shares->pids };
	struct pids pids = { 0 };
	int bad = 0;
	(void)group;
	if (!shares->pids)
		return 0;
	pids_collect(&pids, limits->procfd, init);
	for (size_t i = 0; i < pids.count && !bad; i++)
		if (pids.list[i] != init && prlimit(pids.list[i], RLIMIT_NPROC, &limit, NULL) &&
		    errno != ESRCH)
			bad = fault("limits", "nproc");
	free(pids.list);
	return bad;
}

static int join(struct limits_group *group)
{
	(void)group;
	return 0;
}

/* -1 of a process that has none: it is gone, or a zombie. */
static int64_t process_memory(int procfd, int pid)
{
	static const char *const keys[] = { "RssAnon:", "RssShmem:", "VmSwap:" };
	char path[48], text[4096];
	int64_t bytes = 0;
	snprintf(path, sizeof(path), "%d/status", pid);
	if (read_at(procfd, path, text, sizeof(text)) < 0 || !strstr(text, keys[0]))
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		const char *line = strstr(text, keys[i]);
		bytes += line ? atoll(line + strlen(keys[i])) * 1024 : 0;
	}
	return bytes;
}

static void usage(struct limits *limits, struct limits_group *group, pid_t init,
                  bool has_ended, struct usage *usage)
{
	int64_t memory = 0, processes = 0;
	struct pids pids = { 0 };
	*usage = (struct usage){ -1, (int64_t)group->peak, -1, -1, -1, group->over };
	if (has_ended)
		return;
	pids_collect(&pids, limits->procfd, init);
	for (size_t i = 0; i < pids.count; i++) {
		int64_t own = process_memory(limits->procfd, pids.list[i]);
		processes += own >= 0;
		memory += own > 0 ? own : 0;
	}
	if ((uint64_t)memory > group->peak)
		group->peak = (uint64_t)memory;
	*usage = (struct usage){ memory,    (int64_t)group->peak, -1, (int64_t)pids.count,
		                     processes, group->over };
	free(pids.list);
}

static void watch(struct limits *limits, struct limits_group *group, pid_t init)
{
	struct usage now;
	usage(limits, group, init, false, &now);
	if (group->memory && (uint64_t)now.memory > group->memory)
		group->over = true;
}

const struct limits_mode limits_none = {
	.name = "none",
	.probe = probe,
	.change = change,
	.join = join,
	.watch = watch,
	.usage = usage,
};
