#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "confine.h"
#include "util.h"

#define STEP "seccomp"

int filters_load(const struct seccomp_filters *filters)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fault(STEP, "no_new_privs");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filters->deny) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filters->allow))
		return fault(STEP, "load the filter");
	return 0;
}
