/*
 * The jail in which hostile archives and trees are handled.
 *
 * jail_run() forks a child that sees one directory as its whole file system, has
 * no network, no descriptor but the listed ones, and only the capabilities that
 * are needed to own and write files. The child runs `work` and hands its result
 * back through shared memory; its exit by a signal is a failure with that signal
 * in the message.
 */
#ifndef WAFER_JAIL_H
#define WAFER_JAIL_H

#include <stdarg.h>
#include <unistd.h>

#include "jobs.h"

/* Runs inside the jail: "/" is the target directory, and so is `rootfd`. 0 or -1 with result filled in. */
typedef int (*jail_work)(int rootfd, void *context, struct job_result *result);

/* `dirfd` has to belong to the caller's current mount namespace. `keep` are the
 * descriptors that the work needs besides stderr. */
int jail_run(int dirfd, const int *keep, int n_keep, jail_work work, void *context, struct job_result *result);

/* The same in a live sandbox: "/" and `rootfd` are its root, the capabilities are those of its root, and nothing of
 * its network and its processes is there. */
int jail_run_inside(const struct inside *inside, const int *keep, int n_keep, jail_work work, void *context,
                    struct job_result *result);

/* Fills in step and message; returns -1. `%m` is the errno of the failure. */
int job_fail(struct job_result *result, const char *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Drops every capability but `keep_mask`, from all sets and the bounding set, and sets no_new_privs. */
int drop_capabilities(unsigned long long keep_mask);

/* Closes every descriptor from 3 on that is not in `keep`. */
int close_other_fds(const int *keep, int n_keep);

static inline void cleanup_fd(int *fd) {
	if (*fd >= 0)
		close(*fd);
}
#define CLEANUP_FD __attribute__((cleanup(cleanup_fd)))

#endif
