#define _GNU_SOURCE
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct fault last_fault;

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static void set_fault(const char *step, int error, const char *format, va_list arguments)
{
	snprintf(last_fault.step, sizeof(last_fault.step), "%s", step);
	vsnprintf(last_fault.message, sizeof(last_fault.message), format, arguments);
	if (error) {
		size_t used = strlen(last_fault.message);
		snprintf(last_fault.message + used, sizeof(last_fault.message) - used, ": %s",
		         strerror(error));
	}
}

int fault(const char *step, const char *format, ...)
{
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	set_fault(step, error, format, arguments);
	va_end(arguments);
	errno = error;
	return -1;
}

int refuse(const char *step, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	set_fault(step, 0, format, arguments);
	va_end(arguments);
	return -1;
}

static void *checked(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void *need_memory(size_t bytes)
{
	return checked(calloc(1, bytes ? bytes : 1));
}

void *need_array(size_t count, size_t size)
{
	return checked(calloc(count ? count : 1, size));
}

char *need_format(const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	return checked(text);
}

uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool valid_name(const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length > NAME_LENGTH || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       length;
}

int write_whole(int fd, const void *data, size_t length)
{
	const char *at = data;
	while (length > 0) {
		ssize_t written = write(fd, at, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

int write_at(int dirfd, const char *path, const char *text)
{
	cleanup_fd int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t length = strlen(text);
	/* Kernel files take a value in one write or not at all. */
	return write(fd, text, length) == (ssize_t)length ? 0 : -1;
}

ssize_t read_at(int dirfd, const char *path, char *buffer, size_t size)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t length = 0;
	while (length + 1 < size) {
		ssize_t got = read(fd, buffer + length, size - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	buffer[length] = '\0';
	return (ssize_t)length;
}

long long read_number_at(int dirfd, const char *path)
{
	char text[64];
	if (read_at(dirfd, path, text, sizeof(text)) <= 0)
		return -1;
	return atoll(text);
}

long long read_keyed_at(int dirfd, const char *path, const char *key)
{
	char text[4096];
	size_t length = strlen(key);
	if (read_at(dirfd, path, text, sizeof(text)) < 0)
		return -1;
	for (char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, length) && line[length] == ' ')
			return atoll(line + length + 1);
	}
	return -1;
}

int count_fds(int procfd)
{
	int fd = openat(procfd, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int count = 0;
	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 3; /* `.`, `..` and the directory's own descriptor */
}

pid_t spawn(uint64_t flags, int *pidfd, int cgroup_fd)
{
	int fd = -1;
	struct clone_args arguments = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uintptr_t)&fd,
		.exit_signal = SIGCHLD,
	};
	if (cgroup_fd >= 0) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (uint64_t)cgroup_fd;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid > 0)
		*pidfd = fd;
	return pid;
}

void park_fd(int *fd)
{
	int high = *fd < 0 ? -1 : fcntl(*fd, F_DUPFD_CLOEXEC, PARKED_FIRST);
	if (high < 0)
		return;
	close(*fd);
	*fd = high;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void close_all_but(int *keep, size_t count)
{
	int next = 3;
	qsort(keep, count, sizeof(*keep), by_number);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < next)
			continue;
		if (keep[i] > next)
			close_range((unsigned)next, (unsigned)keep[i] - 1, 0);
		next = keep[i] + 1;
	}
	close_range((unsigned)next, ~0U, 0);
}

#define MAX_PASSED 24

int send_with_fds(int sock, const void *data, size_t length, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(MAX_PASSED * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec part = { (void *)(uintptr_t)data, length };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (count > MAX_PASSED) {
		errno = E2BIG;
		return -1;
	}
	if (count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	ssize_t sent;
	do
		sent = sendmsg(sock, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)length ? 0 : -1;
}

ssize_t receive_with_fds(int sock, void *data, size_t size, int *fds, size_t count, int flags)
{
	union {
		char bytes[CMSG_SPACE(MAX_PASSED * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { data, size };
	struct msghdr message = { .msg_iov = &part,
		                      .msg_iovlen = 1,
		                      .msg_control = control.bytes,
		                      .msg_controllen = sizeof(control.bytes) };
	ssize_t got;
	for (size_t i = 0; i < count; i++)
		fds[i] = -1;
	do
		got = recvmsg(sock, &message, MSG_CMSG_CLOEXEC | flags);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		size_t passed = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < passed; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (i < count)
				fds[i] = fd;
			else
				close(fd);
		}
	}
	return got;
}
