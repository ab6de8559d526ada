/*
 * The world of the archive tests: a user namespace with a few thousand ids (as
 * the engine has), a layers directory with a victim layer, and a work directory.
 * Started as root the ids are mapped directly, as a user by newuidmap; without
 * either the tests run in single-id mode.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive_tests.h"

enum { IDS = 2010, ROOT_BASE = 1900000000 };

int layers_fd = -1, work_fd = -1;
static int n_failed, n_done;
static int outer_fd = -1;
static struct idmap map = {.layer_first = 1, .layer_count = 2000, .nobody = 2001};
const struct idmap *world_map = &map;

void ok(int condition, const char *format, ...) {
	va_list args;

	printf("%s %d - ", condition ? "ok" : "not ok", ++n_done);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	n_failed += !condition;
}

int failures(void) {
	return n_failed;
}

static int has_only(int dirfd, const char *first, const char *second) {
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;
	int good = dir != NULL;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && strcmp(entry->d_name, first) &&
		    (!second || strcmp(entry->d_name, second))) {
			printf("# unexpected entry %s\n", entry->d_name);
			good = 0;
		}
	if (dir)
		closedir(dir);
	return good;
}

static int victim_unchanged(void) {
	char text[32] = "";
	int fd = openat(layers_fd, "victim/secret", O_RDONLY | O_NOFOLLOW);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	struct stat st = {0};
	int good = got == 6 && memcmp(text, "secret", 6) == 0 && fstat(fd, &st) == 0 && st.st_nlink == 1 &&
	           (st.st_mode & 07777) == 0644;
	int dir = openat(layers_fd, "victim", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	good = good && dir >= 0 && has_only(dir, "secret", NULL);
	if (dir >= 0)
		close(dir);
	if (fd >= 0)
		close(fd);
	return good;
}

int world_intact(void) {
	return has_only(layers_fd, "victim", "layer") && has_only(outer_fd, "layers", "work") && victim_unchanged();
}

int t_unpack_limited(struct tar *tar, const struct unpack_limits *limits, struct job_result *result) {
	int data = memfd_create("tar", MFD_CLOEXEC), rc;

	if (data < 0 || write(data, tar->data, tar->size) != (ssize_t)tar->size || lseek(data, 0, SEEK_SET) != 0)
		abort();
	free(tar->data);
	*tar = (struct tar){0};
	rc = archive_unpack(data, layers_fd, "layer", &map, limits, result);
	close(data);
	return rc;
}

int t_unpack(struct tar *tar, struct job_result *result) {
	const struct unpack_limits limits = {.max_bytes = 1 << 20, .max_entries = 1000};

	return t_unpack_limited(tar, &limits, result);
}

void forget_layer(void) {
	struct job_result result;

	if (tree_remove(layers_fd, "layer", &result) != 0)
		printf("# %s: %s\n", result.step, result.message);
}

void refused(struct tar *tar, const char *text, const char *title) {
	struct job_result result;
	struct stat st;
	int rc = t_unpack(tar, &result);
	int left = fstatat(layers_fd, "layer", &st, AT_SYMLINK_NOFOLLOW) == 0;

	ok(rc == -1 && strstr(result.message, text) && !left && world_intact(), "%s", title);
	if (rc == 0 || !strstr(result.message, text))
		printf("# rc %d, %s: %s\n", rc, result.step, result.message);
	if (left)
		forget_layer();
}

void accepted(struct tar *tar, const char *title) {
	struct job_result result;
	int rc = t_unpack(tar, &result);

	ok(rc == 0 && !result.existed && world_intact(), "%s", title);
	if (rc != 0)
		printf("# %s: %s\n", result.step, result.message);
}

static int open_layer(const char *path, int flags) {
	char full[5000];

	snprintf(full, sizeof(full), "layer/%s", path);
	return openat(layers_fd, full, flags | O_NOFOLLOW | O_CLOEXEC);
}

char *read_layer_file(const char *path) {
	static char text[256];
	struct stat st;
	int fd = open_layer(path, O_RDONLY | O_NONBLOCK);
	ssize_t got = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		got = read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (got < 0)
		return NULL;
	text[got] = '\0';
	return text;
}

int layer_mode(const char *path) {
	char full[5000];
	struct stat st;

	snprintf(full, sizeof(full), "layer/%s", path);
	return fstatat(layers_fd, full, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (int)st.st_mode : -1;
}

/*** Set-up ***/

static int write_text(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t wrote = fd >= 0 ? write(fd, text, strlen(text)) : -1;

	if (fd >= 0)
		close(fd);
	return wrote == (ssize_t)strlen(text) ? 0 : -1;
}

static int subordinate(const char *file, char out[64]) {
	char command[200];
	FILE *pipe;
	int got;

	snprintf(command, sizeof(command), "awk -F: -v u=\"$(id -un)\" '$1==u && $3>=%d {print $2; exit}' %s", IDS, file);
	pipe = popen(command, "r");
	got = pipe && fgets(out, 64, pipe) != NULL;
	if (pipe)
		pclose(pipe);
	out[strcspn(out, "\n")] = '\0';
	return got;
}

/* By the parent, from outside. */
static void map_ids(pid_t child) {
	char path[64], text[256], uids[64], gids[64];

	if (geteuid() == 0) {
		snprintf(text, sizeof(text), "0 %d %d", ROOT_BASE, IDS);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)child);
		if (write_text(path, text) != 0)
			abort();
		snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)child);
		if (write_text(path, text) != 0)
			abort();
		return;
	}
	if (subordinate("/etc/subuid", uids) && subordinate("/etc/subgid", gids)) {
		snprintf(text, sizeof(text), "newuidmap %d 0 %d 1 1 %s %d && newgidmap %d 0 %d 1 1 %s %d", (int)child,
		         (int)geteuid(), uids, IDS, (int)child, (int)getegid(), gids, IDS);
		if (system(text) == 0)
			return;
	}
	printf("# no subordinate ids: single-id mode\n");
	snprintf(text, sizeof(text), "0 %d 1", (int)geteuid());
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)child);
	if (write_text(path, text) != 0)
		abort();
	map.single = 1;
}

static int make_victim(void) {
	int fd;

	if (mkdirat(outer_fd, "layers", 0700) != 0 || mkdirat(outer_fd, "work", 0700) != 0)
		return -1;
	layers_fd = openat(outer_fd, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	work_fd = openat(outer_fd, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(layers_fd, "victim", 0755) != 0)
		return -1;
	fd = openat(layers_fd, "victim/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "secret", 6) != 6)
		return -1;
	return close(fd);
}

static int inside(const char *directory, int go, int (*tests)(void)) {
	struct job_result result;
	int status;
	char c;

	if (read(go, &c, 1) != 1 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		return 2;
	map.single = c == 's';
	if (unshare(CLONE_NEWNS) != 0)
		return 2;
	umask(022);
	outer_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (outer_fd < 0 || make_victim() != 0)
		return 2;
	status = tests();
	tree_remove(outer_fd, "layers", &result);
	tree_remove(outer_fd, "work", &result);
	return status;
}

static void clean_up(const char *directory) {
	char command[4200];

	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		printf("# cannot remove %s\n", directory);
}

int world_run(int (*tests)(void)) {
	char directory[] = "/var/tmp/wafer-archive-XXXXXX";
	int ready[2], go[2], status = 0;
	char c = 0;
	pid_t child;

	if (!mkdtemp(directory) || pipe(ready) != 0 || pipe(go) != 0)
		return 2;
	if (geteuid() == 0 && chown(directory, ROOT_BASE, ROOT_BASE) != 0)
		return 2;
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWUSER) != 0 || write(ready[1], "r", 1) != 1)
			_exit(2);
		status = inside(directory, go[0], tests);
		fflush(stdout);
		exit(status);
	}
	if (read(ready[0], &c, 1) != 1)
		return 2;
	map_ids(child);
	if (write(go[1], map.single ? "s" : "r", 1) != 1 || waitpid(child, &status, 0) != child)
		return 2;
	clean_up(directory);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}
