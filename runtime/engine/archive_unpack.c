/*
 * The unpack job.
 *
 *   job            makes `tmp-<name>-<pid>`, waits, renames it to `<name>`, syncs
 *   `- jailed child   sees only that temporary directory; reads and writes (jail.c)
 *
 * The bytes reach the disk (syncfs) before the name exists. A failure at any
 * point removes the temporary directory; a kill of the job leaves it, and the
 * engine removes `tmp-*` when it starts.
 *
 *   archive_unpack.c            the job
 *   |- archive_read.c           members out of the stream
 *   |  |- archive_header.c      a header block
 *   |  `- archive_pax.c         extended headers
 *   `- archive_apply.c          a member into the tree; reads its content by archive_read.c
 *      `- archive_tree.c        directories of the tree; below all: archive_entry.c, archive_path.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

static int read_members(struct tree *tree, struct tar_reader *reader, const struct unpack_limits *limits) {
	struct tar_entry *entry = calloc(1, sizeof(*entry));
	int got;

	if (!entry)
		return job_fail(tree->result, "unpack", "out of memory");
	while ((got = tar_next(reader, entry)) == 1) {
		got = apply_entry(tree, reader, entry, limits);
		if (got != 0)
			break;
	}
	tar_entry_reset(entry);
	free(entry);
	return got;
}

int unpack_jailed(int rootfd, void *context, struct job_result *result) {
	const struct unpack *unpack = context;
	unsigned int owner = id_inside(unpack->map, 0);
	struct tar_reader reader;
	struct tree tree;
	int failed;

	if (!unpack->plain && (fchown(rootfd, owner, owner) != 0 || fchmod(rootfd, 0755) != 0))
		return job_fail(result, "unpack", "cannot own the layer's root: %m");
	if (tar_open(&reader, unpack->data_fd, result) != 0)
		return -1;
	tree_open(&tree, rootfd, unpack->map, result);
	tree.plain = unpack->plain;
	failed = (!tree.plain && tree_note_time(&tree, "", 0, 0) != 0) || read_members(&tree, &reader, &unpack->limits) != 0 ||
	         tar_finish(&reader) != 0 || tree_set_times(&tree) != 0;
	tree_close(&tree);
	tar_close(&reader);
	if (!failed && !unpack->plain && syncfs(rootfd) != 0)
		return job_fail(result, "unpack", "cannot write the layer to disk: %m");
	return failed ? -1 : 0;
}

/* Nobody needs the bytes, but the sender has to be able to finish. */
static int drain(int fd, struct job_result *result) {
	char buffer[16384];

	for (;;) {
		ssize_t got = read(fd, buffer, sizeof(buffer));
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		if (got == 0)
			return 0;
		if (got < 0 && errno == EAGAIN)
			poll(&wait, 1, -1);
		else if (got < 0 && errno != EINTR)
			return job_fail(result, "read", "cannot read the archive: %m");
	}
}

static int exists(int dirfd, const char *name) {
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int make_temporary(int layers_dirfd, const char *temporary, struct job_result *result) {
	struct job_result removed;
	int dir;

	if (exists(layers_dirfd, temporary) && tree_remove(layers_dirfd, temporary, &removed) != 0) {
		*result = removed;
		return -1;
	}
	if (mkdirat(layers_dirfd, temporary, 0700) != 0)
		return job_fail(result, "unpack", "cannot make %s: %m", temporary);
	dir = openat(layers_dirfd, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir >= 0 ? dir : job_fail(result, "unpack", "cannot open %s: %m", temporary);
}

/* Two jobs may unpack the same layer; the first rename wins and the other's copy goes. */
static int publish(int layers_dirfd, const char *temporary, const char *name, struct job_result *result) {
	struct job_result removed;

	if (renameat2(layers_dirfd, temporary, layers_dirfd, name, RENAME_NOREPLACE) != 0) {
		if (errno != EEXIST)
			return job_fail(result, "unpack", "cannot rename the layer to %s: %m", name);
		result->existed = 1;
		if (tree_remove(layers_dirfd, temporary, &removed) != 0) {
			*result = removed;
			return -1;
		}
	}
	if (fsync(layers_dirfd) != 0)
		return job_fail(result, "unpack", "cannot sync the layers directory: %m");
	return 0;
}

int archive_unpack(int data_fd, int layers_dirfd, const char *name, const struct idmap *map,
                   const struct unpack_limits *limits, struct job_result *result) {
	struct unpack unpack = {.data_fd = data_fd, .map = map, .limits = *limits};
	struct job_result removed;
	char temporary[256];
	CLEANUP_FD int dir = -1;

	memset(result, 0, sizeof(*result));
	unpack.limits.max_bytes = limits->max_bytes ? limits->max_bytes : TAR_DEFAULT_BYTES;
	unpack.limits.max_entries = limits->max_entries ? limits->max_entries : TAR_DEFAULT_ENTRIES;
	if (exists(layers_dirfd, name)) {
		result->existed = 1;
		return drain(data_fd, result);
	}
	snprintf(temporary, sizeof(temporary), "tmp-%.128s-%d", name, (int)getpid());
	dir = make_temporary(layers_dirfd, temporary, result);
	if (dir >= 0 && jail_run(dir, &data_fd, 1, unpack_jailed, &unpack, result) == 0 &&
	    publish(layers_dirfd, temporary, name, result) == 0)
		return 0;
	if (exists(layers_dirfd, temporary))
		tree_remove(layers_dirfd, temporary, &removed);
	return -1;
}
