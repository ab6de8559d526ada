/*
 * The adopt job: the upper of a finished build step becomes a layer as it lies
 * there. Overlay keeps in an upper just what a lower needs (device 0:0 for what
 * is gone, user.overlay.opaque), so nothing has to be written a second time.
 * A jailed child walks the tree once and makes of it what unpacking its tar
 * would have made: no set-id bits, a root that belongs to the layer owner.
 * That the tar leaves nothing else out is the worker's to know (`left_out` of
 * pack).
 *
 * Both directories are given as the host's mount has them: a rename does not go
 * across two mounts, and the engine's own root shows them as two.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

#define SET_ID_BITS (S_ISUID | S_ISGID)

static int settle_children(int dir, int depth);

/* By descriptor: nothing is running in there any more, but names and links are still a guest's. */
static int settle_entry(int parent, const char *name, int depth)
{
	struct stat st;
	CLEANUP_FD int fd = -1;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (!S_ISDIR(st.st_mode) && !(S_ISREG(st.st_mode) && (st.st_mode & SET_ID_BITS)))
		return 0;
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ((st.st_mode & SET_ID_BITS) && fchmod(fd, st.st_mode & 07777 & ~SET_ID_BITS) != 0))
		return -1;
	return S_ISDIR(st.st_mode) ? settle_children(fd, depth + 1) : 0;
}

static int settle_children(int dirfd, int depth)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed = 0;
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!dir || depth > TAR_PATH_MAX / 2)
		failed = -1;
	while (!failed && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			failed = settle_entry(dirfd, entry->d_name, depth);
	if (!failed && errno != 0)
		failed = -1;
	if (dir)
		closedir(dir);
	return failed;
}

static int settle_jailed(int rootfd, void *context, struct job_result *result)
{
	const struct idmap *map = context;
	unsigned owner = map->single ? 0 : map->layer_first;

	if (settle_children(rootfd, 0) != 0)
		return job_fail(result, "adopt", "cannot look through the upper: %m");
	if (fchown(rootfd, owner, owner) != 0 || fchmod(rootfd, 0755) != 0)
		return job_fail(result, "adopt", "cannot own the layer's root: %m");
	return syncfs(rootfd) != 0 ? job_fail(result, "adopt", "cannot write the layer to disk: %m") : 0;
}

int layer_adopt(const struct adopt *adopt, const struct idmap *map, struct job_result *result)
{
	char path[160];
	struct idmap copy = *map;
	CLEANUP_FD int upper = -1;

	memset(result, 0, sizeof(*result));
	snprintf(path, sizeof(path), "%.128s/upper", adopt->upper);
	upper = openat(adopt->work, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0)
		return job_fail(result, "adopt", "cannot open the upper of %s: %m", adopt->upper);
	if (jail_run(upper, NULL, 0, settle_jailed, &copy, result) != 0)
		return -1;
	if (renameat2(adopt->host_work, path, adopt->host_layers, adopt->layer, RENAME_NOREPLACE) != 0)
		return job_fail(result, "adopt", "cannot rename %s to layer %s: %m", path, adopt->layer);
	return fsync(adopt->host_layers) != 0 ? job_fail(result, "adopt", "cannot sync the layers directory: %m") : 0;
}
