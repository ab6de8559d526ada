/*
 * Files of a live sandbox: a path of it as a tar, and a tar into a directory of it.
 *
 *   job
 *   `- jailed child   in the sandbox's mounts, with the sandbox's ids (jail_run_inside)
 *
 * A path is looked up with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): whatever
 * links are there, it ends inside. From its directory on everything goes by descriptor
 * and without following; other mounts below it (proc, dev, volumes) are shown and not
 * walked. What the guest does meanwhile can change what is read, not where.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

/* Ids as they are inside: the jailed child is in the sandbox's user namespace. */
static const struct idmap as_inside = {.layer_count = 65534, .nobody = 65534};
static const struct idmap as_single = {.layer_count = 1, .single = 1};

/* A path in parts; `name` NULL: the content of the directory itself. */
struct target {
	char path[TAR_PATH_MAX + 1];
	const char *name;
	int one; /* it is no directory: a file `name` of the directory in question */
};

static int open_path(int root, const char *path, unsigned long long flags) {
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root, *path ? path : "/", &how, sizeof(how));
}

static int not_there(const char *path, struct job_result *result) {
	char quoted[TAR_QUOTED];

	return job_fail(result, STEP_LOOK_UP, "\"%s\" in the sandbox: %m", path_quote(path, quoted));
}

/* The directory from which on everything goes by descriptor: the path itself, or the one that holds it. */
static int find_to_read(int root, struct target *target, const char *path, struct job_result *result) {
	size_t size = strlen(path);
	int slash = size > 1 && path[size - 1] == '/', dir, found;
	struct stat st;
	char *base;

	if (size > TAR_PATH_MAX)
		return job_fail(result, STEP_LOOK_UP, "the path is too long");
	memcpy(target->path, path, size + 1);
	while (size > 1 && target->path[size - 1] == '/')
		target->path[--size] = '\0';
	base = strrchr(target->path, '/');
	if (base[1] == '\0' || strcmp(base, "/.") == 0)
		return (dir = open_path(root, target->path, O_DIRECTORY)) >= 0 ? dir : not_there(path, result);
	target->name = base + 1;
	*base = '\0';
	dir = open_path(root, target->path, O_DIRECTORY);
	*base = '/';
	if (dir < 0)
		return not_there(path, result);
	found = slash ? open_path(root, target->path, O_DIRECTORY) : openat(dir, target->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (found < 0 || fstat(found, &st) != 0) {
		not_there(path, result);
		close(dir);
		return -1;
	}
	target->one = !S_ISDIR(st.st_mode);
	close(target->one ? found : dir);
	return target->one ? dir : found;
}

/* File systems of the kernel tell about it, not about files. */
static int is_disk(int dir, struct job_result *result) {
	struct statfs status;

	if (fstatfs(dir, &status) != 0)
		return job_fail(result, STEP_LOOK_UP, "cannot look at the file system: %m");
	if (status.f_type == PROC_SUPER_MAGIC || status.f_type == SYSFS_MAGIC || status.f_type == DEVPTS_SUPER_MAGIC ||
	    status.f_type == CGROUP_SUPER_MAGIC || status.f_type == CGROUP2_SUPER_MAGIC)
		return job_fail(result, STEP_LOOK_UP, "the path lies in a file system of the kernel");
	return 0;
}

static unsigned long long mount_of(int fd) {
	struct statx status;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) == 0 ? status.stx_mnt_id : 0;
}

struct reading {
	const char *path, *without;
	struct pack pack;
};

static int read_jailed(int rootfd, void *context, struct job_result *result) {
	struct reading *reading = context;
	struct target target = {.name = NULL};
	struct stat here, there;
	CLEANUP_FD int found = find_to_read(rootfd, &target, reading->path, result);
	CLEANUP_FD int dir = -1;

	if (found < 0 || is_disk(found, result) != 0)
		return -1;
	dir = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(rootfd, &here) != 0 || fstat(dir, &there) != 0)
		return not_there(reading->path, result);
	reading->pack.name = target.name;
	reading->pack.one = target.one;
	reading->pack.mount = mount_of(dir);
	if (here.st_dev == there.st_dev && here.st_ino == there.st_ino && !target.name)
		reading->pack.without = reading->without;
	return pack_jailed(dir, &reading->pack, result);
}

struct writing {
	const char *path;
	struct unpack unpack;
};

static int write_jailed(int rootfd, void *context, struct job_result *result) {
	struct writing *writing = context;
	CLEANUP_FD int found = open_path(rootfd, writing->path, O_DIRECTORY);
	CLEANUP_FD int dir = -1;

	if (found < 0)
		return not_there(writing->path, result);
	if (is_disk(found, result) != 0)
		return -1;
	dir = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? not_there(writing->path, result) : unpack_jailed(dir, &writing->unpack, result);
}

int files_read_below(int dirfd, const char *path, int data_fd, const struct idmap *map, struct job_result *result) {
	struct reading reading = {.path = path,
	                          .pack = {.data_fd = data_fd, .out = {.mtime_clamp = -1, .map = map, .plain = 1}}};

	return jail_run(dirfd, &data_fd, 1, read_jailed, &reading, result);
}

int files_write_below(int dirfd, const char *path, int data_fd, const struct idmap *map,
                      const struct unpack_limits *limits, struct job_result *result) {
	struct writing writing = {.path = path,
	                          .unpack = {.data_fd = data_fd, .map = map, .limits = *limits, .plain = 1}};

	return jail_run(dirfd, &data_fd, 1, write_jailed, &writing, result);
}

int files_read(const struct inside *inside, int data_fd, struct job_result *result) {
	struct reading reading = {
	    .path = inside->path,
	    .without = ".wafer",
	    .pack = {.data_fd = data_fd,
	             .out = {.mtime_clamp = -1, .map = inside->single ? &as_single : &as_inside, .plain = 1}}};

	memset(result, 0, sizeof(*result));
	return jail_run_inside(inside, &data_fd, 1, read_jailed, &reading, result);
}

int files_write(const struct inside *inside, int data_fd, const struct unpack_limits *limits,
                struct job_result *result) {
	struct writing writing = {
	    .path = inside->path,
	    .unpack = {
	        .data_fd = data_fd, .map = inside->single ? &as_single : &as_inside, .limits = *limits, .plain = 1}};

	memset(result, 0, sizeof(*result));
	return jail_run_inside(inside, &data_fd, 1, write_jailed, &writing, result);
}
