/*
 * What a tree takes on the disk, while a guest may still write to it.
 *
 * Walks by descriptor and never follows a link. What goes away meanwhile is not
 * counted; a file with several names counts once, whoever has the others. A tree that is too deep
 * to be packed is refused, so that nothing can be hidden below.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"
#include "jail.h"

enum { MEASURE_DEPTH_MAX = 256, STAT_BLOCK = 512 };

static void cleanup_dir(DIR **dir) {
	if (*dir)
		closedir(*dir);
}

struct measuring {
	struct links links;
	struct job_result *result;
};

static int measure_dir(int dirfd, int depth, struct measuring *measuring);

static int measure_file(const struct stat *st, struct measuring *measuring) {
	const char *first = NULL;

	if (st->st_nlink > 1 && links_first(&measuring->links, st, "", &first) != 0)
		return job_fail(measuring->result, "measure", "out of memory");
	if (!first)
		measuring->result->bytes += (unsigned long long)st->st_blocks * STAT_BLOCK;
	return 0;
}

static int measure_entry(int parent, const char *name, int depth, struct measuring *measuring) {
	struct job_result *result = measuring->result;
	struct stat st;
	CLEANUP_FD int dir = -1;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : job_fail(result, "measure", "cannot look at an entry: %m");
	result->entries++;
	if (!S_ISDIR(st.st_mode))
		return measure_file(&st, measuring);
	result->bytes += (unsigned long long)st.st_blocks * STAT_BLOCK;
	dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
		           ? 0
		           : job_fail(result, "measure", "cannot open a directory: %m");
	return measure_dir(dir, depth + 1, measuring);
}

static int measure_dir(int dirfd, int depth, struct measuring *measuring) {
	struct job_result *result = measuring->result;
	__attribute__((cleanup(cleanup_dir))) DIR *dir = NULL;
	struct dirent *entry;
	int copy;

	if (depth > MEASURE_DEPTH_MAX)
		return job_fail(result, "measure", "directories are nested more than %d levels deep", MEASURE_DEPTH_MAX);
	copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return errno == ENOENT ? 0 : job_fail(result, "measure", "cannot open a directory: %m");
	dir = fdopendir(copy);
	if (!dir) {
		close(copy);
		return job_fail(result, "measure", "cannot read a directory: %m");
	}
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (measure_entry(dirfd, entry->d_name, depth, measuring) != 0)
			return -1;
	}
	return 0;
}

static int measure_root(int rootfd, void *context, struct job_result *result) {
	struct measuring measuring = {.result = result};
	int bad;

	(void)context;
	bad = measure_dir(rootfd, 0, &measuring);
	links_free(&measuring.links);
	return bad;
}

int tree_measure(int parent_dirfd, const char *name, struct job_result *result) {
	CLEANUP_FD int dir = openat(parent_dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return errno == ENOENT ? 0 : job_fail(result, "measure", "cannot open %s: %m", name);
	return jail_run(dir, NULL, 0, measure_root, NULL, result);
}
