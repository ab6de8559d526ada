/*
 * Volumes in the sandbox's root, in the child. A new one is first filled with what the
 * image has at its path, as docker does: owners, modes, times and links are kept;
 * devices, sockets and FIFOs are passed over. Paths are the image's and thereby hostile:
 * they are resolved inside the root, and nothing of ours (/dev, /proc, /.wafer) is covered.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"
#include "copy.h"
#include "init.h"
#include "mounts.h"

#define STEP "volume"
#define MAX_DEPTH 256
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct copy {
	int top; /* the volume's directory: paths of hard links begin here */
	dev_t device;
	struct links links;
};

static int copy_directory(struct copy *copy, int from, int to, const char *path, int depth);

static int copy_entry(struct copy *copy, int from, int to, const char *name, const char *path,
                      int depth)
{
	struct stat status;
	const char *first = NULL;
	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW))
		return -1;
	if (S_ISLNK(status.st_mode))
		return copy_symlink(from, to, name, &status);
	if (S_ISDIR(status.st_mode)) {
		/* Another file system: a mount of ours. */
		if (status.st_dev != copy->device)
			return 0;
		cleanup_fd int source = openat(from, name, OPEN_DIRECTORY);
		if (source < 0 || mkdirat(to, name, 0700))
			return -1;
		cleanup_fd int target = openat(to, name, OPEN_DIRECTORY);
		return target < 0 ? -1 : copy_directory(copy, source, target, path, depth);
	}
	if (!S_ISREG(status.st_mode))
		return 0;
	if (status.st_nlink > 1 && links_first(&copy->links, &status, path, &first))
		return -1;
	return first ? linkat(copy->top, first, to, name, 0) : copy_file(from, to, name, &status);
}

static int copy_directory(struct copy *copy, int from, int to, const char *path, int depth)
{
	struct stat status;
	const struct dirent *entry;
	int bad = 0, fd = openat(from, ".", OPEN_DIRECTORY);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory)
		return -1;
	errno = ELOOP;
	bad = depth > MAX_DEPTH || fstat(from, &status);
	while (!bad && (errno = 0, entry = readdir(directory))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		cleanup_free char *below = need_format("%s%s%s", path, *path ? "/" : "", entry->d_name);
		bad = copy_entry(copy, from, to, entry->d_name, below, depth + 1);
	}
	bad = bad || errno;
	int kept = errno;
	closedir(directory);
	errno = kept;
	return bad || copy_attributes(to, &status) ? -1 : 0;
}

/* An image without that directory leaves the volume empty. */
static int fill(const struct volume_mount *volume, int rootfd)
{
	char path[128];
	struct stat status;
	cleanup_fd int from =
		open_inside(rootfd, volume->path, O_RDONLY | O_DIRECTORY, RESOLVE_IN_ROOT);
	if (from < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fault(STEP, "%s", volume->path);
	snprintf(path, sizeof(path), PLACE_VOLUMES "/%s", volume->temporary);
	cleanup_fd int to = open(path, OPEN_DIRECTORY);
	if (to < 0 || fstat(from, &status))
		return fault(STEP, "%s", volume->name);
	struct copy copy = { .top = to, .device = status.st_dev };
	int bad = copy_directory(&copy, from, to, "", 0);
	if (bad)
		fault(STEP, "fill %s with what the image has at %s", volume->name, volume->path);
	links_free(&copy.links);
	return bad;
}

static int publish(int commands)
{
	const struct report filled = { .type = REPORT_VOLUMES };
	struct command command;
	if (send_with_fds(commands, &filled, sizeof(filled), NULL, 0))
		return fault(STEP, "the engine");
	/* The engine tells why there is no answer. */
	if (recv(commands, &command, sizeof(command), 0) != (ssize_t)sizeof(command))
		_exit(1);
	return 0;
}

/* What the engine put there, and the root itself, may not be covered. */
static int check_point(int point, int rootfd, const char *path)
{
	static const char *const ours[] = { ".", "dev", "dev/shm", "dev/pts", "proc", ".wafer" };
	struct stat here, there;
	if (fstat(point, &here))
		return fault(STEP, "%s", path);
	for (size_t i = 0; i < ARRAY_LENGTH(ours); i++) {
		if (fstatat(rootfd, ours[i], &there, AT_SYMLINK_NOFOLLOW))
			return fault(STEP, "/%s", ours[i]);
		/* All of the root is one file system; of the others no part may be covered. */
		if (here.st_dev == there.st_dev && (i > 0 || here.st_ino == there.st_ino))
			return refuse(STEP, "%s leads to /%s, where no volume can be", path,
			              i > 0 ? ours[i] : "");
	}
	return 0;
}

static int open_point(const struct spec *spec, int rootfd, const char *path)
{
	int point = open_inside(rootfd, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
	if (point >= 0 || errno != ENOENT || !spec->upper)
		return point;
	/* With a slash at the end the last part counts as a directory to make, too. */
	cleanup_free char *whole = need_format("%s/", path);
	return make_parents(rootfd, whole);
}

/* The mount point, opened. */
static int check_place(const struct spec *spec, const struct volume_mount *volume, int rootfd)
{
	int point = open_point(spec, rootfd, volume->path);
	if (point < 0)
		return fault(STEP, "%s at %s", volume->name, volume->path);
	if (check_point(point, rootfd, volume->path))
		close_fd(&point);
	return point;
}

static int mount_one(const struct spec *spec, const struct volume_mount *volume, int rootfd)
{
	char path[sizeof(volume->name) + 32];
	cleanup_fd int point = check_place(spec, volume, rootfd);
	if (point < 0)
		return -1;
	snprintf(path, sizeof(path), PLACE_VOLUMES "/%s", volume->name);
	cleanup_fd int tree =
		detached_open(AT_FDCWD, path, SAFE_ATTRIBUTES | (volume->read_only ? MOUNT_ATTR_RDONLY : 0));
	if (tree < 0)
		return -1;
	if (move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return fault(STEP, "%s at %s", volume->name, volume->path);
	return 0;
}

int volumes_mount(const struct spec *spec, int rootfd, int commands)
{
	bool fresh = false;
	/* What is refused is refused before anything is made in its name. */
	for (size_t i = 0; i < spec->volume_count; i++) {
		cleanup_fd int point = check_place(spec, &spec->volumes[i], rootfd);
		if (point < 0)
			return -1;
	}
	for (size_t i = 0; i < spec->volume_count; i++) {
		if (!*spec->volumes[i].temporary)
			continue;
		fresh = true;
		if (fill(&spec->volumes[i], rootfd))
			return -1;
	}
	if (fresh && publish(commands))
		return -1;
	for (size_t i = 0; i < spec->volume_count; i++)
		if (mount_one(spec, &spec->volumes[i], rootfd))
			return -1;
	return 0;
}
