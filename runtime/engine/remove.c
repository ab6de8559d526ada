/*
 * Removing a tree that a guest has written.
 *
 * The tree is renamed to `tmp-rm-*` first (so its name is free at once, and a
 * crash leaves something that is plainly garbage), then emptied by a jailed
 * child, and its empty directory removed. Everything goes by descriptor and
 * O_NOFOLLOW. Directories deeper than HOIST_DEPTH are moved up to the root of
 * the tree and emptied from there, so neither the stack nor the number of open
 * descriptors grows with a guest's nesting.
 */
#define _GNU_SOURCE
#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "jail.h"

enum { HOIST_DEPTH = 64 };

static void cleanup_dir(DIR **dir) {
	if (*dir)
		closedir(*dir);
}

/* Opens a directory for reading and writing entries, whatever its mode says. */
static int open_dir_forced(int parent, const char *name) {
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static int unlink_forced(int parent, const char *name, int flags) {
	if (unlinkat(parent, name, flags) == 0 || errno == ENOENT)
		return 0;
	if ((errno == EACCES || errno == EPERM) && fchmod(parent, 0700) == 0 && unlinkat(parent, name, flags) == 0)
		return 0;
	return -1;
}

static int hoist(struct remover *remover, int parent, const char *name) {
	char to[64];

	for (;;) {
		snprintf(to, sizeof(to), ".tmp-hoisted-%lu", remover->hoisted++);
		if (renameat2(parent, name, remover->hoist_fd, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno == EACCES && fchmodat(parent, name, 0700, 0) == 0 && fchmod(parent, 0700) == 0 &&
		    renameat2(parent, name, remover->hoist_fd, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST)
			return -1;
	}
	remover->again = 1;
	return 0;
}

static int remove_entry(struct remover *remover, int parent, const char *name, int depth) {
	CLEANUP_FD int dir = -1;

	if (unlinkat(parent, name, 0) == 0)
		return 0;
	if (errno == EISDIR || errno == EPERM || errno == EACCES) {
		dir = open_dir_forced(parent, name);
		if (dir < 0 && (errno == ENOTDIR || errno == ELOOP))
			return unlink_forced(parent, name, 0);
		if (dir < 0)
			return errno == ENOENT ? 0 : -1;
		if (depth >= HOIST_DEPTH && remover->hoist_fd >= 0)
			return hoist(remover, parent, name);
		if (remove_contents(remover, dir, depth + 1) != 0)
			return -1;
		return unlink_forced(parent, name, AT_REMOVEDIR);
	}
	return errno == ENOENT ? 0 : -1;
}

int remove_contents(struct remover *remover, int dirfd, int depth) {
	__attribute__((cleanup(cleanup_dir))) DIR *dir = NULL;
	struct dirent *entry;
	int copy;

	if (depth > REMOVE_DEPTH_MAX) {
		errno = ELOOP;
		return -1;
	}
	copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -1;
	dir = fdopendir(copy);
	if (!dir) {
		close(copy);
		return -1;
	}
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_entry(remover, dirfd, entry->d_name, depth) != 0) {
			snprintf(remover->failed, sizeof(remover->failed), "%s", entry->d_name);
			return -1;
		}
		remover->entries++;
	}
	return errno == 0 ? 0 : -1;
}

static int empty_root(int rootfd, void *context, struct job_result *result) {
	struct remover remover = {.hoist_fd = rootfd};

	(void)context;
	do {
		remover.again = 0;
		if (remove_contents(&remover, rootfd, 0) != 0)
			return job_fail(result, "remove", "cannot remove an entry: %m");
	} while (remover.again);
	result->entries = remover.entries;
	return 0;
}

int tree_remove(int parent_dirfd, const char *name, struct job_result *result) {
	char doomed[256];
	CLEANUP_FD int dir = -1;

	memset(result, 0, sizeof(*result));
	if (strncmp(name, "tmp-rm-", 7) == 0)
		snprintf(doomed, sizeof(doomed), "%s", name);
	else
		snprintf(doomed, sizeof(doomed), "tmp-rm-%.128s-%d", name, (int)getpid());
	if (strcmp(name, doomed) != 0 && renameat2(parent_dirfd, name, parent_dirfd, doomed, RENAME_NOREPLACE) != 0) {
		if (errno == ENOENT)
			return 0;
		return job_fail(result, "remove", "cannot rename %s: %m", name);
	}
	dir = openat(parent_dirfd, doomed, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return 0;
	result->existed = 1;
	if (dir < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		if (unlinkat(parent_dirfd, doomed, 0) == 0)
			return 0;
		return job_fail(result, "remove", "cannot remove %s: %m", name);
	}
	if (dir < 0 && errno == EACCES)
		dir = open_dir_forced(parent_dirfd, doomed);
	if (dir < 0)
		return job_fail(result, "remove", "cannot open %s: %m", name);
	if (jail_run(dir, NULL, 0, empty_root, NULL, result) != 0)
		return -1;
	if (unlinkat(parent_dirfd, doomed, AT_REMOVEDIR) != 0 && errno != ENOENT)
		return job_fail(result, "remove", "cannot remove the directory of %s: %m", name);
	return 0;
}
