/*
 * The pack job: the upper directory of an overlay -> an OCI layer tar.
 *
 * A jailed child walks the upper by descriptor, siblings in byte order, parents
 * before children, never through a link. The output depends on nothing but the
 * names, contents, modes, owners, times and attributes in the upper:
 *
 *   device 0:0                     -> `.wh.NAME`
 *   user.overlay.opaque=y          -> `.wh..wh..opq` as the directory's first child
 *   second name of a regular file  -> hard link to the first one written
 *   sockets, FIFOs                 -> left out (meaningless in a layer)
 *   other devices, `.wh.*` names   -> refused: they can not be said in a layer
 *
 * Times are whole seconds, clamped to `mtime` if asked. The root itself has no entry.
 *
 *   archive_pack.c         the job, what is selected, the walk
 *   `- archive_member.c    one file as members
 *      |- archive_links.c  paths of inodes that were written before
 *      `- archive_write.c  bytes of a member; below all: archive_entry.c, archive_path.c
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/*** Selection ***/

enum selection { OUTSIDE, ABOVE, INSIDE };

static const char *skip_slashes(const char *prefix) {
	while (*prefix == '/' || (prefix[0] == '.' && prefix[1] == '/'))
		prefix++;
	return prefix;
}

/* Is `path` at or below a prefix of `only`, or a directory on the way to one? */
static enum selection selected(const struct pack *pack, const char *path) {
	enum selection best = OUTSIDE;
	size_t size = strlen(path);

	if (!pack->only || !pack->only[0])
		return INSIDE;
	for (int i = 0; pack->only[i]; i++) {
		const char *prefix = skip_slashes(pack->only[i]);
		size_t length = strlen(prefix);

		while (length > 0 && prefix[length - 1] == '/')
			length--;
		if (strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == '\0' || length == 0))
			return INSIDE;
		if (size < length && strncmp(path, prefix, size) == 0 && prefix[size] == '/')
			best = ABOVE;
	}
	return best;
}

/*** The walk ***/

struct names {
	char **list;
	size_t used, cap;
};

static void names_free(struct names *names) {
	for (size_t i = 0; i < names->used; i++)
		free(names->list[i]);
	free(names->list);
}

static int names_add(struct names *names, const char *name) {
	if (names->used == names->cap) {
		size_t cap = names->cap ? names->cap * 2 : 32;
		char **grown = reallocarray(names->list, cap, sizeof(*grown));

		if (!grown)
			return -1;
		names->list = grown;
		names->cap = cap;
	}
	names->list[names->used] = strdup(name);
	return names->list[names->used++] ? 0 : -1;
}

static int compare_names(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(struct names *names, int dirfd) {
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed = 0;
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!dir)
		return -1;
	while (!failed && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			failed = names_add(names, entry->d_name);
	failed = failed || errno != 0;
	closedir(dir);
	if (names->used > 0)
		qsort(names->list, names->used, sizeof(names->list[0]), compare_names);
	return failed ? -1 : 0;
}

static int pack_children(struct pack *pack, int dirfd, size_t path_size, int depth);

static int is_other_mount(const struct pack *pack, int fd) {
	struct statx status;

	return pack->mount && (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0 || status.stx_mnt_id != pack->mount);
}

/* A mount point: it is there, and nothing more is said about it. */
static int pack_covered(struct pack *pack, int dir, const struct stat *st, size_t path_size) {
	if (path_size + 1 > TAR_PATH_MAX)
		return member_refuse(&pack->out, "it is too deep");
	strcpy(pack->out.path + path_size, "/");
	return member_dir(&pack->out, dir, st, 0);
}

/* The directory `dir` itself, then what is in it. */
static int pack_opened(struct pack *pack, int dir, const struct stat *st, size_t path_size, int depth) {
	enum selection how = selected(pack, pack->out.path);

	if (depth >= TAR_DEPTH_MAX || path_size + 1 > TAR_PATH_MAX)
		return member_refuse(&pack->out, "it is too deep");
	pack->out.path[path_size++] = '/';
	pack->out.path[path_size] = '\0';
	if (member_dir(&pack->out, dir, st, how == INSIDE) != 0)
		return -1;
	return pack_children(pack, dir, path_size, depth + 1);
}

/* `path_size` excludes the slash; while the directory is packed pack->out.path ends in one. */
static int pack_dir(struct pack *pack, int parent, const char *name, size_t path_size, int depth) {
	CLEANUP_FD int dir = openat(parent, name, DIR_FLAGS);
	struct stat st;

	if (dir < 0 && member_vanished(&pack->out))
		return 0;
	if (dir < 0 || fstat(dir, &st) != 0)
		return member_fail(&pack->out, "cannot open the directory");
	if (is_other_mount(pack, dir))
		return pack_covered(pack, dir, &st, path_size);
	return pack_opened(pack, dir, &st, path_size, depth);
}

static int pack_entry(struct pack *pack, int parent, const char *name, size_t parent_size, int depth) {
	size_t size = parent_size + strlen(name);
	enum selection how;
	struct stat st;

	if (size > TAR_PATH_MAX)
		return member_refuse(&pack->out, "its path is too long");
	memcpy(pack->out.path + parent_size, name, strlen(name) + 1);
	how = selected(pack, pack->out.path);
	if (how == OUTSIDE)
		return 0;
	if (parent_size == 0 && pack->without && strcmp(name, pack->without) == 0)
		return 0;
	if (!pack->out.plain && strncmp(name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
		return member_refuse(&pack->out, "its name would be read as a whiteout");
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return member_vanished(&pack->out) ? 0 : member_fail(&pack->out, "cannot look at");
	if (S_ISDIR(st.st_mode))
		return pack_dir(pack, parent, name, size, depth);
	if (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)) {
		pack->out.result->left_out++;
		return 0;
	}
	if (how == ABOVE)
		return 0;
	if (S_ISREG(st.st_mode))
		return member_file(&pack->out, parent, name);
	if (S_ISLNK(st.st_mode))
		return member_symlink(&pack->out, parent, name, &st);
	if (pack->out.plain)
		return 0; /* a device: it would be refused where it is unpacked */
	if (is_whiteout(&st))
		return member_whiteout(&pack->out, parent_size, name);
	return member_refuse(&pack->out, "it is a device");
}

static int pack_children(struct pack *pack, int dirfd, size_t path_size, int depth) {
	struct names names = {0};
	int failed = 0;

	if (names_read(&names, dirfd) != 0)
		failed = member_fail(&pack->out, "cannot list");
	for (size_t i = 0; i < names.used && !failed; i++)
		failed = pack_entry(pack, dirfd, names.list[i], path_size, depth);
	names_free(&names);
	return failed;
}

/*** The job ***/

static int pack_selected(struct pack *pack, int rootfd) {
	struct stat st;

	if (pack->one)
		return pack_entry(pack, rootfd, pack->name, 0, 0);
	if (!pack->name)
		return pack_children(pack, rootfd, 0, 0);
	strcpy(pack->out.path, pack->name);
	if (fstat(rootfd, &st) != 0)
		return member_fail(&pack->out, "cannot look at");
	return pack_opened(pack, rootfd, &st, strlen(pack->name), 0);
}

int pack_jailed(int rootfd, void *context, struct job_result *result) {
	struct pack *pack = context;
	struct packer *out = &pack->out;
	int failed = -1;

	out->result = result;
	out->entry = calloc(1, sizeof(*out->entry));
	if (!out->entry || tar_writer_open(&out->writer, pack->data_fd) != 0) {
		free(out->entry);
		return job_fail(result, "pack", "out of memory");
	}
	if (pack_selected(pack, rootfd) == 0)
		failed = tar_write_end(&out->writer) == 0 ? 0 : job_fail(result, "write", "cannot send the layer: %m");
	result->bytes = out->writer.total;
	tar_writer_close(&out->writer);
	tar_entry_reset(out->entry);
	free(out->entry);
	links_free(&out->links);
	return failed;
}

int archive_pack(int work_dirfd, const char *upper_name, int data_fd, const char *const *only, long long mtime_clamp,
                 const struct idmap *map, struct job_result *result) {
	struct pack pack = {.data_fd = data_fd, .only = only, .out = {.mtime_clamp = mtime_clamp, .map = map}};
	struct open_how how = {.flags = DIR_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	char path[280];
	CLEANUP_FD int upper = -1;

	memset(result, 0, sizeof(*result));
	snprintf(path, sizeof(path), "%.255s/upper", upper_name);
	upper = (int)syscall(SYS_openat2, work_dirfd, path, &how, sizeof(how));
	if (upper < 0)
		return job_fail(result, "pack", "cannot open the upper of %s: %m", upper_name);
	return jail_run(upper, &data_fd, 1, pack_jailed, &pack, result);
}
