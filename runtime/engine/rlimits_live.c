/* Limits of programs that run already. Apart from rlimits.c, which fork servers have too. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "confine.h"
#include "processes.h"
#include "util.h"

#define STEP "limits"

static int lower(int pid, int resource, const char *name, uint64_t value)
{
	const struct rlimit limit = { value, value };
	if (!value || !prlimit(pid, resource, &limit, NULL) || errno == ESRCH)
		return 0;
	return fault(STEP, "%s of %llu, which can only be lowered", name, (unsigned long long)value);
}

int rlimits_lower(int procfd, int init, uint64_t nofile, uint64_t fsize)
{
	struct pids pids = { 0 };
	int bad = 0;
	if (!nofile && !fsize)
		return 0;
	pids_collect(&pids, procfd, init);
	for (size_t i = 0; i < pids.count && !bad; i++)
		if (pids.list[i] != init)
			bad = lower(pids.list[i], RLIMIT_NOFILE, "nofile", nofile) ||
			      lower(pids.list[i], RLIMIT_FSIZE, "fsize", fsize);
	free(pids.list);
	return bad ? -1 : 0;
}
