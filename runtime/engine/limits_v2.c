/* cgroup v2, delegated to the worker's user: one group for each sandbox, born inside it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "limits.h"
#include "util.h"

#define STEP "limits"
#define SUPERVISOR "supervisor"

static bool no(struct limits *limits, const char *why)
{
	snprintf(limits->detail, sizeof(limits->detail), "%s", why);
	return false;
}

/* Opens our own group, or its parent when we are already in the supervisor leaf. */
static int open_own_group(void)
{
	char text[4096], path[4352];
	struct statfs status;
	if (read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return -1;
	char *line = strstr(text, "0::/");
	if (!line)
		return -1;
	line[strcspn(line, "\n")] = '\0';
	char *leaf = strrchr(line, '/');
	if (!strcmp(leaf, "/" SUPERVISOR))
		*leaf = '\0';
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", line + 3);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && (fstatfs(fd, &status) || status.f_type != CGROUP2_SUPER_MAGIC))
		close_fd(&fd);
	return fd;
}

/* Inner groups may not hold processes once controllers are on: move ours to a leaf. */
static bool make_supervisor(struct limits *limits)
{
	char pids[65536], *rest = pids;
	int root = limits->roots[0];
	if (mkdirat(root, SUPERVISOR, 0755) && errno != EEXIST)
		return no(limits, "the own cgroup is not writable (Delegate=yes is missing)");
	/* Again until empty: a process may fork while we move it. */
	for (int round = 0; round < 16; round++) {
		if (read_at(root, "cgroup.procs", pids, sizeof(pids)) <= 0)
			return true;
		rest = pids;
		for (char *pid; (pid = strsep(&rest, "\n")) && *pid;)
			if (write_at(root, SUPERVISOR "/cgroup.procs", pid) && errno != ESRCH)
				return no(limits, "processes can not be moved in the own cgroup");
	}
	return true;
}

static bool probe(struct limits *limits)
{
	char controllers[256] = "";
	limits->roots[0] = open_own_group();
	if (limits->roots[0] < 0)
		return no(limits, "no cgroup2 at /sys/fs/cgroup");
	if (read_at(limits->roots[0], "cgroup.controllers", controllers, sizeof(controllers)) < 0 ||
	    !strstr(controllers, "memory") || !strstr(controllers, "pids"))
		return no(limits, "memory and pids are not delegated to the own cgroup");
	if (faccessat(limits->roots[0], "cgroup.procs", W_OK, 0))
		return no(limits, "the own cgroup is not writable (Delegate=yes is missing)");
	if (!make_supervisor(limits))
		return false;
	bool cpu = strstr(controllers, "cpu ") || strstr(controllers, "cpu\n");
	if (write_at(limits->roots[0], "cgroup.subtree_control",
	             cpu ? "+memory +pids +cpu" : "+memory +pids"))
		return no(limits, "controllers can not be turned on in the own cgroup");
	limits_sweep(limits->roots[0]);
	limits_note_paths(limits, limits->roots[0], limits->roots[0]);
	snprintf(limits->detail, sizeof(limits->detail), "delegated cgroup v2, %s",
	         cpu ? "memory pids cpu" : "memory pids; cpu is not delegated");
	return true;
}

static int change(struct limits *limits, struct limits_group *group, pid_t init,
                  const struct shares *shares)
{
	int root = limits->roots[0];
	(void)init;
	if (shares->memory && (limits_write(root, group->name, "memory.max", false, "%llu",
	                                    (unsigned long long)shares->memory) ||
	                       limits_write(root, group->name, "memory.swap.max", true, "0")))
		return -1;
	/* One more for init. */
	if (shares->pids && limits_write(root, group->name, "pids.max", false, "%llu",
	                                 (unsigned long long)shares->pids + 1))
		return -1;
	if (shares->cpu && limits_write(root, group->name, "cpu.max", true, "%llu 100000",
	                                (unsigned long long)shares->cpu * 100))
		return -1;
	return 0;
}

static int make(struct limits *limits, struct limits_group *group)
{
	int root = limits->roots[0];
	if (mkdirat(root, group->name, 0755))
		return fault(STEP, "cgroup");
	group->made = true;
	if (limits_write(root, group->name, "memory.oom.group", false, "1"))
		return -1;
	group->directory = openat(root, group->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return group->directory < 0 ? fault(STEP, "cgroup") : 0;
}

static int join(struct limits_group *group)
{
	(void)group; /* born inside, by CLONE_INTO_CGROUP */
	return 0;
}

static void usage(struct limits *limits, struct limits_group *group, pid_t init,
                  bool has_ended, struct usage *usage)
{
	int root = limits->roots[0];
	(void)init;
	usage->memory_peak = limits_read(root, group->name, "memory.peak"); /* since 5.19 */
	usage->cpu_us = limits_read_keyed(root, group->name, "cpu.stat", "usage_usec");
	usage->oom_kills = limits_read_keyed(root, group->name, "memory.events", "oom_kill");
	if (has_ended)
		return;
	usage->memory = limits_read(root, group->name, "memory.current");
	usage->pids = limits_read(root, group->name, "pids.current");
	usage->processes = limits_count_processes(root, group->name);
}

static enum freezing freeze(struct limits *limits, struct limits_group *group, bool stop)
{
	return limits_write(limits->roots[0], group->name, "cgroup.freeze", false, "%d", stop)
	               ? FREEZE_FAILED
	               : FREEZE_BEGUN;
}

static bool is_frozen(struct limits *limits, struct limits_group *group)
{
	return limits_read_keyed(limits->roots[0], group->name, "cgroup.events", "frozen") == 1;
}

static bool remove_group(struct limits *limits, const char *name)
{
	return !unlinkat(limits->roots[0], name, AT_REMOVEDIR) || errno != EBUSY;
}

const struct limits_mode limits_v2 = {
	.name = "v2",
	.probe = probe,
	.make = make,
	.change = change,
	.join = join,
	.usage = usage,
	.freeze = freeze,
	.is_frozen = is_frozen,
	.remove = remove_group,
};
