/*
 * Files of the worker over files of the sandbox: texts that it gives, and files of its
 * work directory. Each is a copy in the scratch directory, which is the working directory
 * then: a bind of the file itself would show its path on the host in mountinfo.
 */
#define _GNU_SOURCE
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define STEP "mounts"

/*
 * A text as a read-only file over one of the skeleton's files. A writable root
 * always gets one: a file that is a mount point can not be replaced by a build,
 * so the next step finds it again, and it never comes into a layer.
 */
int mount_text(int rootfd, const char *name, const char *path, const char *text)
{
	if (!text)
		return 0;
	cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) || write_whole(fd, text, strlen(text)))
		return fault(STEP, "%s", path);
	return bind_tree(AT_FDCWD, name, rootfd, path, MOUNT_ATTR_RDONLY | SAFE_ATTRIBUTES);
}

int make_parents(int rootfd, const char *path)
{
	cleanup_free char *parents = need_format("%s", path);
	int parent = open_inside(rootfd, "/", O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
	for (char *slash = strchr(parents + 1, '/'); parent >= 0 && slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		const char *name = strrchr(parents, '/') + 1;
		bool failed = *name && strcmp(name, "..") && mkdirat(parent, name, 0755) &&
		              errno != EEXIST;
		close(parent);
		parent = failed ? -1
		                : open_inside(rootfd, parents, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
		*slash = '/';
	}
	return parent;
}

/* Opens the mount point of a file; makes it, with its directories, where the root is writable. */
static int open_file_point(int rootfd, const char *path, bool make)
{
	int fd = open_inside(rootfd, path, O_PATH, RESOLVE_IN_ROOT);
	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	cleanup_fd int parent = make_parents(rootfd, path);
	return parent < 0 ? -1 : open_inside(rootfd, path, O_RDONLY | O_CREAT, RESOLVE_IN_ROOT);
}

/* A copy, because a bind would show the file's path on the host in mountinfo. */
static int copy_to_scratch(const char *name, const char *copy)
{
	struct stat status;
	cleanup_fd int work = open(PLACE_WORK, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int source = open_inside(work, name, O_RDONLY | O_NONBLOCK,
	                                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (source < 0 || fstat(source, &status))
		return fault(STEP, "mount-ro: %s in the work directory", name);
	if (!S_ISREG(status.st_mode))
		return refuse(STEP, "mount-ro: %s in the work directory is not a regular file", name);
	cleanup_fd int target = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (target < 0 || fchmod(target, status.st_mode & 0555))
		return fault(STEP, "mount-ro: %s", name);
	while (status.st_size > 0) {
		ssize_t sent = sendfile(target, source, NULL, (size_t)status.st_size);
		if (sent <= 0)
			return fault(STEP, "mount-ro: %s (all of them may have %s)", name, SCRATCH_SIZE);
		status.st_size -= sent;
	}
	return 0;
}

int mount_file(const struct spec *spec, size_t index, int rootfd)
{
	const struct file_mount *file = &spec->mounts[index];
	char name[NAME_LENGTH + 1] = "", copy[32];
	memcpy(name, file->name, file->name_length);
	snprintf(copy, sizeof(copy), "file%zu", index);
	if (copy_to_scratch(name, copy))
		return -1;
	cleanup_fd int target = open_file_point(rootfd, file->path, spec->upper != NULL);
	if (target < 0)
		return fault(STEP, "mount-ro: %s", file->path);
	cleanup_fd int tree = detached_open(AT_FDCWD, copy, MOUNT_ATTR_RDONLY | SAFE_ATTRIBUTES);
	if (tree < 0)
		return -1;
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return fault(STEP, "mount-ro: %s", file->path);
	return 0;
}
