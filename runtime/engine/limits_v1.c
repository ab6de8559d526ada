/*
 * cgroup v1: a subtree /sys/fs/cgroup/<controller>/wafer[/<uid>] that set-up
 * handed over to the worker's user. There is no group kill: an out-of-memory
 * event kills the whole sandbox (sandbox.c) instead of the one process the
 * kernel chose.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limits.h"
#include "util.h"

#define STEP "limits"

enum { MEMORY, PIDS, CPU, CPUACCT, FREEZER };
static const char *const controllers[V1_CONTROLLERS] = { "memory", "pids", "cpu", "cpuacct",
	                                                     "freezer" };

static int open_subtree(const char *controller)
{
	char path[128];
	for (int own = 1; own >= 0; own--) {
		if (own)
			snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/wafer/%u", controller, geteuid());
		else
			snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/wafer", controller);
		if (!access(path, W_OK))
			return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return -1;
}

static bool same_directory(int a, int b)
{
	struct stat one, other;
	return a >= 0 && b >= 0 && !fstat(a, &one) && !fstat(b, &other) &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool probe(struct limits *limits)
{
	for (int i = 0; i < V1_CONTROLLERS; i++)
		limits->roots[i] = open_subtree(controllers[i]);
	/* cpu and cpuacct are usually one hierarchy; then the first stands for both. */
	if (same_directory(limits->roots[CPU], limits->roots[CPUACCT]))
		close_fd(&limits->roots[CPUACCT]);
	if (limits->roots[MEMORY] < 0 || limits->roots[PIDS] < 0) {
		snprintf(limits->detail, sizeof(limits->detail),
		         "no /sys/fs/cgroup/{memory,pids}/wafer/%u that this user may write", geteuid());
		for (int i = 0; i < V1_CONTROLLERS; i++)
			close_fd(&limits->roots[i]);
		return false;
	}
	for (int i = 0; i < V1_CONTROLLERS; i++)
		if (limits->roots[i] >= 0)
			limits_sweep(limits->roots[i]);
	limits_note_paths(limits, limits->roots[MEMORY],
	                  limits->roots[CPUACCT] >= 0 ? limits->roots[CPUACCT] : limits->roots[CPU]);
	snprintf(limits->detail, sizeof(limits->detail), "cgroup v1 subtree, memory pids%s%s",
	         limits->roots[CPU] < 0 ? "" : " cpu", limits->roots[FREEZER] < 0 ? "" : " freezer");
	for (int i = CPU; i <= FREEZER; i += FREEZER - CPU)
		if (limits->roots[i] < 0) {
			size_t used = strlen(limits->detail);
			snprintf(limits->detail + used, sizeof(limits->detail) - used,
			         "; %s was not handed over", controllers[i]);
		}
	return true;
}

static int watch_oom(struct limits *limits, struct limits_group *group)
{
	char path[GROUP_NAME_LENGTH + 32];
	snprintf(path, sizeof(path), "%s/memory.oom_control", group->name);
	cleanup_fd int control = openat(limits->roots[MEMORY], path, O_RDONLY | O_CLOEXEC);
	group->oom_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control < 0 || group->oom_event < 0)
		return fault(STEP, "memory.oom_control");
	park_fd(&group->oom_event);
	return limits_write(limits->roots[MEMORY], group->name, "cgroup.event_control", false,
	                    "%d %d", group->oom_event, control);
}

/* Memory with swap may never be below memory alone: the order depends on the direction. */
static int set_memory(struct limits *limits, struct limits_group *group, uint64_t bytes, bool raise)
{
	const struct {
		const char *file;
		bool optional;
	} files[] = { { "memory.limit_in_bytes", false }, { "memory.memsw.limit_in_bytes", true } };
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		size_t at = raise ? ARRAY_LENGTH(files) - 1 - i : i;
		if (limits_write(limits->roots[MEMORY], group->name, files[at].file, files[at].optional,
		                 "%llu", (unsigned long long)bytes))
			return -1;
	}
	return 0;
}

static int set_others(struct limits *limits, struct limits_group *group, uint64_t pids,
                      uint64_t cpu)
{
	/* One more for init. */
	if (pids && limits_write(limits->roots[PIDS], group->name, "pids.max", false, "%llu",
	                         (unsigned long long)pids + 1))
		return -1;
	if (cpu && limits->roots[CPU] >= 0)
		return limits_write(limits->roots[CPU], group->name, "cpu.cfs_quota_us", true, "%llu",
		                    (unsigned long long)cpu * 100);
	return 0;
}

static int change(struct limits *limits, struct limits_group *group, pid_t init,
                  const struct shares *shares)
{
	(void)init;
	if (shares->memory) {
		bool raise = group->memory && shares->memory > group->memory;
		if (set_memory(limits, group, shares->memory, raise) ||
		    (group->oom_event < 0 && watch_oom(limits, group)))
			return -1;
	}
	return set_others(limits, group, shares->pids, shares->cpu);
}

static int make(struct limits *limits, struct limits_group *group)
{
	char path[GROUP_NAME_LENGTH + 32];
	group->made = true;
	for (int i = 0; i < V1_CONTROLLERS; i++) {
		if (limits->roots[i] < 0)
			continue;
		if (mkdirat(limits->roots[i], group->name, 0755))
			return fault(STEP, "%s cgroup", controllers[i]);
		snprintf(path, sizeof(path), "%s/tasks", group->name);
		group->tasks[i] = openat(limits->roots[i], path, O_WRONLY | O_CLOEXEC);
		if (group->tasks[i] < 0)
			return fault(STEP, "%s cgroup", controllers[i]);
	}
	return 0;
}

static int join(struct limits_group *group)
{
	/* A task that moves itself through `tasks` needs no machine-wide lock (`cgroup.procs` does). */
	for (int i = 0; i < V1_CONTROLLERS; i++)
		if (group->tasks[i] >= 0 && write(group->tasks[i], "0", 1) != 1)
			return fault(STEP, "join the %s cgroup", controllers[i]);
	return 0;
}

static void usage(struct limits *limits, struct limits_group *group, pid_t init,
                  bool has_ended, struct usage *usage)
{
	const int *roots = limits->roots;
	int accounting = roots[CPUACCT] >= 0 ? roots[CPUACCT] : roots[CPU];
	long long nanoseconds = limits_read(accounting, group->name, "cpuacct.usage");
	(void)init;
	usage->memory_peak = limits_read(roots[MEMORY], group->name, "memory.max_usage_in_bytes");
	usage->cpu_us = nanoseconds < 0 ? -1 : nanoseconds / 1000;
	usage->oom_kills =
		limits_read_keyed(roots[MEMORY], group->name, "memory.oom_control", "oom_kill");
	if (has_ended)
		return;
	usage->memory = limits_read(roots[MEMORY], group->name, "memory.usage_in_bytes");
	usage->pids = limits_read(roots[PIDS], group->name, "pids.current");
	usage->processes = limits_count_processes(roots[PIDS], group->name);
}

static enum freezing freeze(struct limits *limits, struct limits_group *group, bool stop)
{
	if (limits->roots[FREEZER] < 0)
		return FREEZE_BY_SIGNALS;
	return limits_write(limits->roots[FREEZER], group->name, "freezer.state", false, "%s",
	                    stop ? "FROZEN" : "THAWED")
	               ? FREEZE_FAILED
	               : FREEZE_BEGUN;
}

static bool is_frozen(struct limits *limits, struct limits_group *group)
{
	char path[GROUP_NAME_LENGTH + 32], text[32];
	snprintf(path, sizeof(path), "%s/freezer.state", group->name);
	return read_at(limits->roots[FREEZER], path, text, sizeof(text)) > 0 &&
	       !strncmp(text, "FROZEN", 6);
}

static bool remove_group(struct limits *limits, const char *name)
{
	bool done = true;
	for (int i = 0; i < V1_CONTROLLERS; i++)
		if (limits->roots[i] >= 0 && unlinkat(limits->roots[i], name, AT_REMOVEDIR) &&
		    errno == EBUSY)
			done = false;
	return done;
}

const struct limits_mode limits_v1 = {
	.name = "v1",
	.probe = probe,
	.make = make,
	.change = change,
	.join = join,
	.usage = usage,
	.freeze = freeze,
	.is_frozen = is_frozen,
	.remove = remove_group,
};
