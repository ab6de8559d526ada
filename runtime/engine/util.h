/* Small things every file of the engine uses: faults, clean-up, file and descriptor helpers. */
#ifndef WAFER_UTIL_H
#define WAFER_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NAME_LENGTH 128
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

#define cleanup(f) __attribute__((cleanup(f)))
#define cleanup_fd cleanup(close_fd)
#define cleanup_free cleanup(free_pointer)
#define must_check __attribute__((warn_unused_result))

void close_fd(int *fd);       /* closes when >= 0 and sets -1 */
void free_pointer(void *pointer);

/*
 * What went wrong last. A function that fails calls `fault` with the step and
 * the object (", %m"-like errno text is appended when errno is not 0) and
 * returns its -1; the caller that can report, reports `last_fault`.
 */
struct fault {
	char step[32];
	char message[512];
};
extern struct fault last_fault;
int fault(const char *step, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same without errno text. */
int refuse(const char *step, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory in the engine itself can not be answered: these never return NULL. */
void *need_memory(size_t bytes);
void *need_array(size_t count, size_t size);
char *need_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_us(void);
bool valid_name(const char *name);

int write_at(int dirfd, const char *path, const char *text);
/* Reads a whole small file; returns its length (NUL-terminated) or -1. */
ssize_t read_at(int dirfd, const char *path, char *buffer, size_t size);
long long read_number_at(int dirfd, const char *path);
/* The number after `key ` in a flat-keyed file, -1 without it. */
long long read_keyed_at(int dirfd, const char *path, const char *key);
int write_whole(int fd, const void *data, size_t length);
int count_fds(int procfd);

/* fork() by clone3 with extra flags; pidfd is close-on-exec. */
pid_t spawn(uint64_t flags, int *pidfd, int cgroup_fd);
/* Closes every descriptor but 0-2 and those given (order changes; -1 allowed). */
void close_all_but(int *keep, size_t count);
/*
 * Moves one that stays open for long out of the way of those that children inherit: what a
 * clone has to copy must not grow with the number of sandboxes.
 */
#define PARKED_FIRST 1024
void park_fd(int *fd);
int send_with_fds(int sock, const void *data, size_t length, const int *fds, size_t count);
/* Returns the length, 0 at end, -1; unused places of `fds` become -1. */
ssize_t receive_with_fds(int sock, void *data, size_t size, int *fds, size_t count, int flags);

#endif
