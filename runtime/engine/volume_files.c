/*
 * Files of a volume for the host, which never walks one itself. Each job is jailed in the
 * volume's directory, or in an overlay of its layers that only this job has; a path is looked
 * up with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): whatever links a function made
 * there, they end inside.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

#define VIEW "/w/scratch" /* of the engine's own root, as this job sees it */
#define OPTIONS_MAX 4000

enum { LIST_MAX = 100000 };

/* An overlay in a mount namespace of this process's own; it goes with the process. */
static int open_overlay(int volumes, const struct volume_work *work, struct job_result *result) {
	char options[OPTIONS_MAX] = "userxattr,lowerdir=";
	size_t used = strlen(options);

	for (size_t i = work->count; i-- > 0 && used < sizeof(options);)
		used += (size_t)snprintf(options + used, sizeof(options) - used, "%s%s", work->names[i], i ? ":" : "");
	if (work->upper && used < sizeof(options))
		used += (size_t)snprintf(options + used, sizeof(options) - used, ",upperdir=%s/upper,workdir=%s/work",
		                         work->upper, work->upper);
	if (used >= sizeof(options))
		return job_fail(result, "volume", "the volume has too many layers");
	if (fchdir(volumes) != 0 || unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return job_fail(result, "volume", "cannot make mounts of its own: %m");
	if (mount("volume", VIEW, "overlay", MS_NOSUID | MS_NODEV | MS_NOEXEC | (work->upper ? 0 : MS_RDONLY), options) != 0)
		return job_fail(result, "volume", "cannot put the layers together: %m");
	return open(VIEW, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_volume(int volumes, const struct volume_work *work, struct job_result *result) {
	int dir = work->count == 1 && !work->upper
	              ? openat(volumes, work->names[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
	              : open_overlay(volumes, work, result);

	if (dir < 0 && result->message[0] == '\0')
		job_fail(result, "volume", "cannot open %s: %m", work->names[0]);
	return dir;
}

struct request {
	const struct volume_work *work;
	int data_fd;
};

/* Writes to streams may be cut short by their reader. */
static int send_all(int fd, const void *data, size_t size) {
	const char *at = data;

	while (size > 0) {
		ssize_t sent = write(fd, at, size);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -1;
		at += sent;
		size -= (size_t)sent;
	}
	return 0;
}

static int open_found(int root, const char *path, unsigned long long flags, struct job_result *result) {
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	char quoted[TAR_QUOTED];
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd >= 0 ? fd : job_fail(result, STEP_LOOK_UP, "\"%s\" in the volume: %m", path_quote(path, quoted));
}

static char type_of(mode_t mode) {
	return S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : S_ISLNK(mode) ? 'l' : 'o';
}

static int send_record(int fd, const struct stat *st, const char *name) {
	char record[NAME_MAX + 96];
	long long ms = (long long)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	int size = snprintf(record, sizeof(record), "%c %o %llu %lld %s", type_of(st->st_mode), st->st_mode & 07777U,
	                    (unsigned long long)st->st_size, ms, name);

	return send_all(fd, record, (size_t)size + 1);
}

static int list_directory(int dirfd, int data_fd, struct job_result *result) {
	struct dirent *entry;
	struct stat st;
	DIR *dir = fdopendir(dirfd);
	int bad = 0;

	if (!dir)
		return job_fail(result, "list", "cannot read the directory: %m");
	while (!bad && (errno = 0, entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue; /* it went away */
		if (++result->entries > LIST_MAX)
			bad = job_fail(result, "list", "the directory has more than %d entries", LIST_MAX);
		else if (send_record(data_fd, &st, entry->d_name) != 0)
			bad = job_fail(result, "list", "cannot send: %m");
	}
	if (!bad && errno != 0)
		bad = job_fail(result, "list", "cannot read the directory: %m");
	closedir(dir);
	return bad;
}

/* First what is at the path itself, as `.`, behind all links; of a directory then what is in it. */
static int list_jailed(int rootfd, void *context, struct job_result *result) {
	const struct request *request = context;
	CLEANUP_FD int found = open_found(rootfd, request->work->path, O_PATH, result);
	struct stat st;
	int dir;

	if (found < 0)
		return -1;
	if (fstat(found, &st) != 0 || send_record(request->data_fd, &st, ".") != 0)
		return job_fail(result, "list", "cannot send: %m");
	if (!S_ISDIR(st.st_mode))
		return 0;
	dir = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? job_fail(result, "list", "cannot open the directory: %m")
	               : list_directory(dir, request->data_fd, result);
}

static int part_jailed(int rootfd, void *context, struct job_result *result) {
	const struct request *request = context;
	unsigned long long left = request->work->length;
	off_t at = (off_t)request->work->offset;
	CLEANUP_FD int file = open_found(rootfd, request->work->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, result);
	struct stat st;

	if (file < 0)
		return -1;
	if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode))
		return job_fail(result, STEP_LOOK_UP, "it is not a file");
	while (left > 0) {
		ssize_t sent = sendfile(request->data_fd, file, &at, left < (1U << 20) ? left : (1U << 20));

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return job_fail(result, "read", "cannot send the file: %m");
		if (sent == 0)
			return job_fail(result, "read", "the file was cut while it was read");
		left -= (unsigned long long)sent;
		result->bytes += (unsigned long long)sent;
	}
	return 0;
}

static int with_data(int volumes, const struct volume_work *work, int data_fd, jail_work jailed,
                     struct job_result *result) {
	struct request request = {work, data_fd};
	CLEANUP_FD int dir = open_volume(volumes, work, result);

	return dir < 0 ? -1 : jail_run(dir, &data_fd, 1, jailed, &request, result);
}

int volume_list(int volumes, const struct volume_work *work, int data_fd, struct job_result *result) {
	return with_data(volumes, work, data_fd, list_jailed, result);
}

int volume_read_part(int volumes, const struct volume_work *work, int data_fd, struct job_result *result) {
	return with_data(volumes, work, data_fd, part_jailed, result);
}

int volume_read(int volumes, const struct volume_work *work, int data_fd, const struct idmap *map,
                struct job_result *result) {
	CLEANUP_FD int dir = open_volume(volumes, work, result);

	return dir < 0 ? -1 : files_read_below(dir, work->path, data_fd, map, result);
}

int volume_write(int volumes, const struct volume_work *work, int data_fd, const struct idmap *map,
                 const struct unpack_limits *limits, struct job_result *result) {
	CLEANUP_FD int dir = open_volume(volumes, work, result);

	return dir < 0 ? -1 : files_write_below(dir, work->path, data_fd, map, limits, result);
}
