/*
 * The tree under construction.
 *
 * Parents are looked up with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
 * under the root descriptor: a symlink that the archive made is followed as it
 * would be inside the image, never out of it. Last components are only touched
 * by *at() calls that do not follow. The directory that was used last is cached;
 * the cache is not used any more once something was removed, since only then can
 * a path come to mean something else.
 *
 * Whiteouts are the device 0:0, which only this program makes here (devices of
 * the archive are refused). A directory that appears where a whiteout stands
 * becomes opaque, so the order of `x` and `.wh.x` does not matter.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"
#include "remove.h"

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
#define TIMES_PATH_BYTES (64U << 20)

struct dir_time {
	char *path;
	long long seconds;
	long nsec;
};

void tree_open(struct tree *tree, int rootfd, const struct idmap *map, struct job_result *result) {
	memset(tree, 0, sizeof(*tree));
	tree->root = rootfd;
	tree->map = map;
	tree->result = result;
	tree->parent_fd = -1;
}

static void forget_parent(struct tree *tree) {
	if (tree->parent_fd >= 0)
		close(tree->parent_fd);
	tree->parent_fd = -1;
}

void tree_close(struct tree *tree) {
	forget_parent(tree);
	for (size_t i = 0; i < tree->n_times; i++)
		free(tree->times[i].path);
	free(tree->times);
	tree->times = NULL;
	tree->n_times = tree->cap_times = 0;
}

static int open_in_root(const struct tree *tree, const char *path) {
	struct open_how how = {.flags = DIR_FLAGS, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, tree->root, *path ? path : ".", &how, sizeof(how));
}

int tree_set_opaque(int dirfd) {
	return fsetxattr(dirfd, OPAQUE_XATTR, "y", 1, 0);
}

int tree_note_time(struct tree *tree, const char *path, long long seconds, long nsec) {
	struct dir_time *time;

	if (tree->n_times == tree->cap_times) {
		size_t cap = tree->cap_times ? tree->cap_times * 2 : 256;
		struct dir_time *grown = reallocarray(tree->times, cap, sizeof(*grown));

		if (!grown)
			return job_fail(tree->result, "unpack", "out of memory");
		tree->times = grown;
		tree->cap_times = cap;
	}
	tree->path_bytes += strlen(path);
	if (tree->path_bytes > TIMES_PATH_BYTES)
		return job_fail(tree->result, "unpack", "the paths of the directories are too long together");
	time = &tree->times[tree->n_times];
	*time = (struct dir_time){.path = strdup(path), .seconds = seconds, .nsec = nsec};
	if (!time->path)
		return job_fail(tree->result, "unpack", "out of memory");
	tree->n_times++;
	return 0;
}

/* Last of all, since every new entry touches its directory. What is no directory any more is passed over. */
int tree_set_times(struct tree *tree) {
	for (size_t i = 0; i < tree->n_times; i++) {
		const struct dir_time *time = &tree->times[i];
		const struct timespec both[2] = {{time->seconds, time->nsec}, {time->seconds, time->nsec}};
		CLEANUP_FD int dir = open_in_root(tree, time->path);

		if (dir >= 0 && futimens(dir, both) != 0)
			return job_fail(tree->result, "unpack", "cannot set the time of a directory: %m");
	}
	return 0;
}

int tree_make_dir(struct tree *tree, int parent, const char *base) {
	unsigned int owner = id_inside(tree->map, 0);
	int dir;

	if (mkdirat(parent, base, 0755) != 0 && errno != EEXIST)
		return job_fail(tree->result, "unpack", "cannot make a directory: %m");
	dir = openat(parent, base, DIR_FLAGS | O_NOFOLLOW);
	if (dir < 0)
		return job_fail(tree->result, "unpack", "cannot open a directory: %m");
	if (fchown(dir, owner, owner) != 0) {
		job_fail(tree->result, "unpack", "cannot own a directory: %m");
		close(dir);
		return -1;
	}
	return dir;
}

int tree_clear(struct tree *tree, int parent, const char *base, int keep_dir) {
	struct remover remover = {.hoist_fd = -1};
	struct stat st;
	char quoted[TAR_QUOTED];

	if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : job_fail(tree->result, "unpack", "cannot look at an entry: %m");
	if (S_ISDIR(st.st_mode) && keep_dir)
		return 0;
	if (tree->plain && (S_ISDIR(st.st_mode) || keep_dir))
		return job_fail(tree->result, "unpack", "\"%s\" is %s there, and not in the archive", path_quote(base, quoted),
		                S_ISDIR(st.st_mode) ? "a directory" : "a file");
	if (S_ISDIR(st.st_mode)) {
		CLEANUP_FD int dir = openat(parent, base, DIR_FLAGS | O_NOFOLLOW);

		if (dir < 0 || remove_contents(&remover, dir, 0) != 0)
			return job_fail(tree->result, "unpack", "cannot replace the directory \"%s\": %m", path_quote(base, quoted));
	}
	tree->stale = 1;
	if (unlinkat(parent, base, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) != 0)
		return job_fail(tree->result, "unpack", "cannot replace \"%s\": %m", path_quote(base, quoted));
	return !tree->plain && is_whiteout(&st);
}

/* The directory `base` of `parent` for an entry below it: made if absent, opaque if a whiteout stood there. */
static int implied_dir(struct tree *tree, int parent, const char *path, const char *base) {
	struct stat st;
	char quoted[TAR_QUOTED];
	int whiteout = 0, dir;

	if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (tree->plain || !is_whiteout(&st))
			return job_fail(tree->result, "unpack", "\"%s\" is no directory, but an entry lies below it",
			                path_quote(path, quoted));
		whiteout = tree_clear(tree, parent, base, 0);
		if (whiteout < 0)
			return -1;
	}
	dir = tree_make_dir(tree, parent, base);
	if (dir < 0)
		return -1;
	if (tree->plain)
		return dir;
	if ((whiteout && tree_set_opaque(dir) != 0) || tree_note_time(tree, path, 0, 0) != 0) {
		if (tree->result->message[0] == '\0')
			job_fail(tree->result, "unpack", "cannot mark \"%s\" opaque: %m", path_quote(path, quoted));
		close(dir);
		return -1;
	}
	return dir;
}

/* Opens `path` component by component and makes what is missing. */
static int make_path(struct tree *tree, const char *path) {
	char prefix[TAR_PATH_MAX + 1], quoted[TAR_QUOTED];
	int current = open_in_root(tree, "");
	const char *end = path, *start = path;

	while (current >= 0 && *start) {
		int next;
		size_t size;

		end = strchrnul(start, '/');
		size = (size_t)(end - path);
		memcpy(prefix, path, size);
		prefix[size] = '\0';
		next = open_in_root(tree, prefix);
		if (next < 0 && (errno == ENOENT || errno == ENOTDIR))
			next = implied_dir(tree, current, prefix, prefix + (start - path));
		else if (next < 0)
			job_fail(tree->result, "unpack", "cannot open the directory \"%s\": %m", path_quote(prefix, quoted));
		close(current);
		current = next;
		start = *end ? end + 1 : end;
	}
	return current;
}

int tree_parent(struct tree *tree, const char *path, const char **base) {
	const char *slash = strrchr(path, '/');
	size_t size = slash ? (size_t)(slash - path) : 0;
	char parent[TAR_PATH_MAX + 1];

	*base = slash ? slash + 1 : path;
	if (!tree->stale && tree->parent_fd >= 0 && strncmp(tree->parent_path, path, size) == 0 && tree->parent_path[size] == '\0')
		return tree->parent_fd;
	memcpy(parent, path, size);
	parent[size] = '\0';
	forget_parent(tree);
	tree->parent_fd = open_in_root(tree, parent);
	if (tree->parent_fd < 0)
		tree->parent_fd = make_path(tree, parent);
	if (tree->parent_fd < 0)
		return -1;
	memcpy(tree->parent_path, parent, size + 1);
	tree->stale = 0;
	return tree->parent_fd;
}
