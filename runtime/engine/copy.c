/* Copies of single entries: what volumes are filled with, and whole states of them. */
#define _GNU_SOURCE
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "util.h"

int copy_attributes(int fd, const struct stat *status)
{
	const struct timespec times[2] = { status->st_mtim, status->st_mtim };
	/* Mode after owner, which clears bits of it. */
	return fchown(fd, status->st_uid, status->st_gid) || fchmod(fd, status->st_mode & 07777) ||
	                       futimens(fd, times)
	               ? -1
	               : 0;
}

/* Not more than `size`: who writes to it meanwhile must not keep this going. */
static int copy_bytes(int source, int target, off_t size)
{
	if (!ioctl(target, FICLONE, source))
		return 0;
	while (size > 0) {
		ssize_t sent = sendfile(target, source, NULL, (size_t)size);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -1;
		if (sent == 0)
			break;
		size -= sent;
	}
	return 0;
}

int copy_file(int from, int to, const char *name, const struct stat *status)
{
	cleanup_fd int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (source < 0)
		return -1;
	cleanup_fd int target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (target < 0 || copy_bytes(source, target, status->st_size))
		return -1;
	return copy_attributes(target, status);
}

int copy_symlink(int from, int to, const char *name, const struct stat *status)
{
	const struct timespec times[2] = { status->st_mtim, status->st_mtim };
	char target[4096];
	ssize_t length = readlinkat(from, name, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = '\0';
	return symlinkat(target, to, name) ||
	                       fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) ||
	                       utimensat(to, name, times, AT_SYMLINK_NOFOLLOW)
	               ? -1
	               : 0;
}
