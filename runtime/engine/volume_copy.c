/*
 * Whole states of volumes: several layers become one directory, and the upper of a
 * transaction becomes a layer.
 *
 * The copy is put together under a temporary name, layer by layer from the bottom, as overlayfs
 * would show it: a whiteout takes away what is below, an opaque directory all that was in it.
 * Layers of transactions are never written to, so their files can be shared by hard links; else
 * they are cloned where the file system can, and copied where it can not. It gets its name when
 * it is whole and on the disk. Everything goes by descriptor and without following; a jail would
 * need three directories, so the walk is not jailed: names are single components of directories
 * that are open.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "copy.h"
#include "jail.h"
#include "remove.h"

enum { COPY_DEPTH_MAX = 200, SYNC_EACH_MAX = 16 };
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct copier {
	int links;
	struct job_result *result;
};

/* -1 with step and message of the result, as all here. */
typedef int (*visit_entry)(void *context, int dir, const char *name, int depth);

static int each_entry(int dirfd, int depth, visit_entry visit, void *context, const char *step,
                      struct job_result *result) {
	struct dirent *entry;
	int bad = 0, fd = openat(dirfd, ".", OPEN_DIR);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return job_fail(result, step, "cannot read a directory: %m");
	if (depth > COPY_DEPTH_MAX)
		bad = job_fail(result, step, "directories are nested more than %d levels deep", COPY_DEPTH_MAX);
	while (!bad && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			bad = visit(context, dirfd, entry->d_name, depth);
	if (!bad && errno != 0)
		bad = job_fail(result, step, "cannot read a directory: %m");
	closedir(dir);
	return bad;
}

static int copy_failed(struct copier *copier, const char *name) {
	char quoted[TAR_QUOTED];

	return job_fail(copier->result, "copy", "\"%s\": %m", path_quote(name, quoted));
}

static int take_away(struct copier *copier, int to, const char *name) {
	struct remover remover = {.hoist_fd = -1};
	struct stat st;

	if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : copy_failed(copier, name);
	if (S_ISDIR(st.st_mode)) {
		CLEANUP_FD int dir = openat(to, name, OPEN_DIR);

		if (dir < 0 || remove_contents(&remover, dir, 0) != 0)
			return copy_failed(copier, name);
	}
	return unlinkat(to, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0 ? 0 : copy_failed(copier, name);
}

/* What overlayfs marks a directory with is for the lower of one, and of no use, or harm, in a whole state. */
static int is_opaque(int dir) {
	char value;

	return fgetxattr(dir, OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

static int copy_contents(struct copier *copier, int from, int to, int depth);

static int copy_directory(struct copier *copier, int from, int to, const char *name, int depth) {
	CLEANUP_FD int source = openat(from, name, OPEN_DIR);
	CLEANUP_FD int target = -1;
	struct stat there, st;
	int exists = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;

	if (source < 0 || fstat(source, &st) != 0)
		return copy_failed(copier, name);
	if (exists && (!S_ISDIR(there.st_mode) || is_opaque(source))) {
		if (take_away(copier, to, name) != 0)
			return -1;
		exists = 0;
	}
	if (!exists && mkdirat(to, name, 0700) != 0)
		return copy_failed(copier, name);
	target = openat(to, name, OPEN_DIR);
	if (target < 0)
		return copy_failed(copier, name);
	if (copy_contents(copier, source, target, depth + 1) != 0)
		return -1;
	return copy_attributes(target, &st) ? copy_failed(copier, name) : 0;
}

static int copy_entry(struct copier *copier, int from, int to, const char *name, int depth) {
	struct stat st;
	int bad;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : copy_failed(copier, name); /* of a volume in use: it went away */
	if (S_ISDIR(st.st_mode))
		return copy_directory(copier, from, to, name, depth);
	if (take_away(copier, to, name) != 0)
		return -1;
	if (is_whiteout(&st))
		return 0;
	copier->result->entries++;
	if (copier->links)
		bad = linkat(from, name, to, name, 0);
	else if (S_ISREG(st.st_mode))
		bad = copy_file(from, to, name, &st);
	else if (S_ISLNK(st.st_mode))
		bad = copy_symlink(from, to, name, &st);
	else
		bad = 0; /* a socket or a FIFO means nothing to another state */
	return bad ? copy_failed(copier, name) : 0;
}

struct into {
	struct copier *copier;
	int to;
};

static int copy_visited(void *context, int from, const char *name, int depth) {
	const struct into *into = context;

	return copy_entry(into->copier, from, into->to, name, depth);
}

static int copy_contents(struct copier *copier, int from, int to, int depth) {
	struct into into = {copier, to};

	return each_entry(from, depth, copy_visited, &into, "copy", copier->result);
}

static int copy_layers(int volumes, const struct volume_work *work, int to, struct job_result *result) {
	struct copier copier = {work->links, result};
	struct stat st;

	for (size_t i = 0; i < work->count; i++) {
		CLEANUP_FD int from = openat(volumes, work->names[i], OPEN_DIR);

		if (from < 0 || fstat(from, &st) != 0)
			return job_fail(result, "copy", "cannot open %s: %m", work->names[i]);
		if (copy_contents(&copier, from, to, 0) != 0)
			return -1;
		if (copy_attributes(to, &st))
			return job_fail(result, "copy", "the root of %s: %m", work->names[i]);
	}
	return 0;
}

int volume_copy(int volumes, const struct volume_work *work, struct job_result *result) {
	char temporary[64];
	struct job_result unused = {.step = ""};
	CLEANUP_FD int to = -1;

	snprintf(temporary, sizeof(temporary), "tmp-copy-%d-%.32s", (int)getpid(), work->to);
	if (mkdirat(volumes, temporary, 0700) != 0 || (to = openat(volumes, temporary, OPEN_DIR)) < 0)
		return job_fail(result, "copy", "cannot make a directory: %m");
	if (copy_layers(volumes, work, to, result) == 0) {
		if (syncfs(to) == 0 && renameat2(volumes, temporary, volumes, work->to, RENAME_NOREPLACE) == 0 &&
		    fsync(volumes) == 0)
			return 0;
		job_fail(result, "copy", "%s: %m", work->to);
	}
	tree_remove(volumes, temporary, &unused);
	return -1;
}

/* What changed; few files are synced one by one, many with all that the file system has to write. */
struct settling {
	int many;
	struct job_result *result;
};

static int settle_contents(struct settling *settling, int dirfd, int depth);

static int settle_entry(void *context, int parent, const char *name, int depth) {
	struct settling *settling = context;
	struct stat st;
	CLEANUP_FD int fd = -1;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return job_fail(settling->result, "seal", "cannot look at an entry: %m");
	if (++settling->result->entries > SYNC_EACH_MAX)
		settling->many = 1;
	if (S_ISREG(st.st_mode))
		settling->result->bytes += (unsigned long long)st.st_blocks * 512;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return job_fail(settling->result, "seal", "cannot open an entry: %m");
	if (S_ISDIR(st.st_mode))
		return settle_contents(settling, fd, depth + 1);
	/* Set-id bits mean nothing on these mounts, and are no part of a state. */
	if ((st.st_mode & 06000) && fchmod(fd, st.st_mode & 01777) != 0)
		return job_fail(settling->result, "seal", "cannot set a mode: %m");
	return settling->many || fsync(fd) == 0 ? 0 : job_fail(settling->result, "seal", "cannot sync: %m");
}

static int settle_contents(struct settling *settling, int dirfd, int depth) {
	if (each_entry(dirfd, depth, settle_entry, settling, "seal", settling->result) != 0)
		return -1;
	return settling->many || fsync(dirfd) == 0 ? 0 : job_fail(settling->result, "seal", "cannot sync: %m");
}

static int settle_jailed(int rootfd, void *context, struct job_result *result) {
	struct settling settling = {0, result};

	(void)context;
	if (settle_contents(&settling, rootfd, 0) != 0)
		return -1;
	return settling.many && syncfs(rootfd) != 0 ? job_fail(result, "seal", "cannot sync: %m") : 0;
}

/* The upper's own name is left to be removed, with the work directory. */
int volume_seal(int volumes, const struct volume_work *work, struct job_result *result) {
	CLEANUP_FD int dir = openat(volumes, work->names[0], OPEN_DIR);
	CLEANUP_FD int upper = dir < 0 ? -1 : openat(dir, "upper", OPEN_DIR);

	if (upper < 0)
		return job_fail(result, "seal", "cannot open %s: %m", work->names[0]);
	if (jail_run(upper, NULL, 0, settle_jailed, NULL, result) != 0)
		return -1;
	if (result->entries == 0)
		return 0;
	if (renameat2(dir, "upper", volumes, work->to, RENAME_NOREPLACE) != 0 || fsync(volumes) != 0)
		return job_fail(result, "seal", "%s: %m", work->to);
	return 0;
}
