#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

#define STEP "limits"

/*
 * Through the sandbox's own /proc: in any other each of these files is looked up among those of
 * all user namespaces, which all have one name there.
 */
int rlimits_forbid_namespaces(int user)
{
	static const char *const files[] = {
		"max_user_namespaces", "max_mnt_namespaces", "max_pid_namespaces",
		"max_net_namespaces",  "max_ipc_namespaces", "max_uts_namespaces",
		"max_cgroup_namespaces", "max_time_namespaces",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		/* A kernel without time namespaces has no such file. */
		if (write_at(user, files[i], "0") && errno != ENOENT)
			return fault(STEP, "/proc/sys/user/%s", files[i]);
	return 0;
}

static int set(int resource, const char *name, uint64_t value)
{
	struct rlimit limit = { value, value }, now;
	if (getrlimit(resource, &now))
		return fault(STEP, "%s", name);
	/* Never above what the engine itself was given. */
	if (now.rlim_max != RLIM_INFINITY && value > now.rlim_max)
		limit.rlim_cur = limit.rlim_max = now.rlim_max;
	return setrlimit(resource, &limit) ? fault(STEP, "%s", name) : 0;
}

/* Servers in containers expect what docker gives them, or as much as there is. */
static uint64_t open_files(const struct spec *spec)
{
	if (spec->nofile)
		return spec->nofile;
	return spec->profile == PROFILE_CONTAINER ? 65536 : 1024;
}

int rlimits_confine(const struct spec *spec)
{
	if (set(RLIMIT_CORE, "core", 0) ||
	    set(RLIMIT_NOFILE, "nofile", open_files(spec)) ||
	    set(RLIMIT_MEMLOCK, "memlock", 64 << 10) || set(RLIMIT_MSGQUEUE, "msgqueue", 0) ||
	    set(RLIMIT_SIGPENDING, "sigpending", 1024) || set(RLIMIT_STACK, "stack", 8 << 20) ||
	    set(RLIMIT_NICE, "nice", 0) || set(RLIMIT_RTPRIO, "rtprio", 0))
		return -1;
	if (spec->fsize && set(RLIMIT_FSIZE, "fsize", spec->fsize))
		return -1;
	/* Counted per user namespace and uid: a second fence behind the pids limit. */
	return spec->pids ? set(RLIMIT_NPROC, "nproc", spec->pids) : 0;
}
