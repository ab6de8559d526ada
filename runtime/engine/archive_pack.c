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
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

enum { DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, XATTR_BYTES = 65536 };

struct seen_link {
	dev_t dev;
	ino_t ino;
	char *path; /* NULL: free slot */
};

struct pack {
	int data_fd;
	const char *const *only;
	long long mtime_clamp;
	const struct idmap *map;
	struct job_result *result;
	struct tar_writer writer;
	struct tar_entry *entry;
	struct seen_link *links; /* open addressing, a power of two, at most half full */
	size_t n_links, cap_links;
	char path[TAR_PATH_MAX + 2]; /* of the entry at hand */
};

static int fail(struct pack *pack, const char *what) {
	char quoted[TAR_QUOTED];

	return job_fail(pack->result, "pack", "%s \"%s\": %m", what, path_quote(pack->path, quoted));
}

static int refuse(struct pack *pack, const char *why) {
	char quoted[TAR_QUOTED];

	return job_fail(pack->result, "pack", "\"%s\" can not be in a layer: %s", path_quote(pack->path, quoted), why);
}

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

/*** Hard links ***/

static size_t link_slot(const struct seen_link *links, size_t cap, dev_t dev, ino_t ino) {
	size_t slot = ((size_t)ino * 0x9e3779b97f4a7c15ULL ^ (size_t)dev) & (cap - 1);

	while (links[slot].path && (links[slot].dev != dev || links[slot].ino != ino))
		slot = (slot + 1) & (cap - 1);
	return slot;
}

static int grow_links(struct pack *pack) {
	size_t cap = pack->cap_links ? pack->cap_links * 2 : 256;
	struct seen_link *grown = calloc(cap, sizeof(*grown));

	if (!grown)
		return -1;
	for (size_t i = 0; i < pack->cap_links; i++)
		if (pack->links[i].path)
			grown[link_slot(grown, cap, pack->links[i].dev, pack->links[i].ino)] = pack->links[i];
	free(pack->links);
	pack->links = grown;
	pack->cap_links = cap;
	return 0;
}

/* The path under which this inode was written before; NULL when this is the first (it is noted then). */
static int first_path(struct pack *pack, const struct stat *st, const char **first) {
	struct seen_link *seen;

	*first = NULL;
	if (pack->n_links * 2 >= pack->cap_links && grow_links(pack) != 0)
		return fail(pack, "out of memory at");
	seen = &pack->links[link_slot(pack->links, pack->cap_links, st->st_dev, st->st_ino)];
	if (seen->path) {
		*first = seen->path;
		return 0;
	}
	*seen = (struct seen_link){.dev = st->st_dev, .ino = st->st_ino, .path = strdup(pack->path)};
	pack->n_links++;
	return seen->path ? 0 : fail(pack, "out of memory at");
}

/*** Members ***/

static int write_header(struct pack *pack) {
	if (tar_write_header(&pack->writer, pack->entry) != 0)
		return job_fail(pack->result, "write", "cannot send the layer: %m");
	pack->result->entries++;
	return 0;
}

static void start_entry(struct pack *pack, const struct stat *st, char type) {
	struct tar_entry *entry = pack->entry;
	long long mtime = st->st_mtim.tv_sec < 0 ? 0 : st->st_mtim.tv_sec;

	tar_entry_reset(entry);
	memcpy(entry->path, pack->path, strlen(pack->path) + 1);
	entry->type = type;
	entry->mode = st->st_mode & 07777;
	entry->uid = id_outside(pack->map, st->st_uid);
	entry->gid = id_outside(pack->map, st->st_gid);
	entry->mtime = pack->mtime_clamp >= 0 && mtime > pack->mtime_clamp ? pack->mtime_clamp : mtime;
}

static int compare_xattrs(const void *a, const void *b) {
	return strcmp(((const struct tar_xattr *)a)->name, ((const struct tar_xattr *)b)->name);
}

static int add_xattr(struct pack *pack, int fd, const char *name, char *value) {
	ssize_t size = fgetxattr(fd, name, value, XATTR_BYTES);

	if (size < 0)
		return errno == ENODATA ? 0 : fail(pack, "cannot read an extended attribute of");
	if (tar_entry_add_xattr(pack->entry, name, strlen(name), value, (size_t)size) != 0)
		return fail(pack, "too many extended attributes at");
	return 0;
}

/* `user.*` but overlayfs' own, sorted. */
static int read_xattrs(struct pack *pack, int fd) {
	char *list = malloc(2 * XATTR_BYTES);
	ssize_t size;
	int failed = 0;

	if (!list)
		return fail(pack, "out of memory at");
	size = flistxattr(fd, list, XATTR_BYTES);
	if (size < 0 && errno != ENOTSUP)
		failed = fail(pack, "cannot list the extended attributes of");
	for (ssize_t at = 0; at < size && !failed; at += (ssize_t)strlen(list + at) + 1)
		if (strncmp(list + at, "user.", 5) == 0 && strncmp(list + at, "user.overlay.", 13) != 0 &&
		    !strchr(list + at, '='))
			failed = add_xattr(pack, fd, list + at, list + XATTR_BYTES);
	free(list);
	qsort(pack->entry->xattrs, (size_t)pack->entry->n_xattrs, sizeof(pack->entry->xattrs[0]), compare_xattrs);
	return failed;
}

static int send_content(struct pack *pack, int fd, unsigned long long size) {
	char buffer[65536];
	unsigned long long left = size;

	while (left > 0) {
		ssize_t got = read(fd, buffer, left < sizeof(buffer) ? (size_t)left : sizeof(buffer));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(pack, "cannot read");
		if (got == 0)
			return refuse(pack, "it shrank while it was read");
		if (tar_write(&pack->writer, buffer, (size_t)got) != 0)
			return job_fail(pack->result, "write", "cannot send the layer: %m");
		left -= (unsigned long long)got;
	}
	if (tar_write_padding(&pack->writer, size) != 0)
		return job_fail(pack->result, "write", "cannot send the layer: %m");
	return 0;
}

static int pack_file(struct pack *pack, int parent, const char *name) {
	CLEANUP_FD int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const char *first = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fail(pack, "cannot open");
	if (st.st_nlink > 1 && first_path(pack, &st, &first) != 0)
		return -1;
	start_entry(pack, &st, first ? '1' : '0');
	if (first) {
		memcpy(pack->entry->link, first, strlen(first) + 1);
		return write_header(pack);
	}
	pack->entry->size = (unsigned long long)st.st_size;
	if (read_xattrs(pack, fd) != 0 || write_header(pack) != 0)
		return -1;
	return send_content(pack, fd, (unsigned long long)st.st_size);
}

static int pack_symlink(struct pack *pack, int parent, const char *name, const struct stat *st) {
	ssize_t size;

	start_entry(pack, st, '2');
	pack->entry->mode = 0777;
	size = readlinkat(parent, name, pack->entry->link, TAR_PATH_MAX);
	if (size < 0)
		return fail(pack, "cannot read the link");
	pack->entry->link[size] = '\0';
	return write_header(pack);
}

/* An empty file `DIR/.wh.NAME` (or the opaque marker); owner and time say nothing. */
static int pack_marker(struct pack *pack, const char *directory, size_t directory_size, const char *marker,
                       const char *name) {
	struct tar_entry *entry = pack->entry;

	tar_entry_reset(entry);
	if (directory_size + strlen(marker) + strlen(name) > TAR_PATH_MAX || strlen(marker) + strlen(name) > TAR_NAME_MAX)
		return refuse(pack, "the name of its whiteout is too long");
	snprintf(entry->path, sizeof(entry->path), "%.*s%s%s", (int)directory_size, directory, marker, name);
	entry->type = '0';
	entry->mode = 0;
	return write_header(pack);
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

static int is_opaque(int dirfd) {
	char value[2] = "";

	return fgetxattr(dirfd, OPAQUE_XATTR, value, sizeof(value)) == 1 && value[0] == 'y';
}

static int pack_children(struct pack *pack, int dirfd, size_t path_size, int depth);

/* `path_size` excludes the slash; while the directory is packed pack->path ends in one. */
static int pack_dir(struct pack *pack, int parent, const char *name, size_t path_size, int depth) {
	CLEANUP_FD int dir = openat(parent, name, DIR_FLAGS);
	enum selection how = selected(pack, pack->path);
	struct stat st;

	if (dir < 0 || fstat(dir, &st) != 0)
		return fail(pack, "cannot open the directory");
	if (depth >= TAR_DEPTH_MAX || path_size + 1 > TAR_PATH_MAX)
		return refuse(pack, "it is too deep");
	pack->path[path_size++] = '/';
	pack->path[path_size] = '\0';
	start_entry(pack, &st, '5');
	if (read_xattrs(pack, dir) != 0 || write_header(pack) != 0)
		return -1;
	if (how == INSIDE && is_opaque(dir) && pack_marker(pack, pack->path, path_size, OPAQUE_NAME, "") != 0)
		return -1;
	return pack_children(pack, dir, path_size, depth + 1);
}

static int pack_entry(struct pack *pack, int parent, const char *name, size_t parent_size, int depth) {
	size_t size = parent_size + strlen(name);
	enum selection how;
	struct stat st;

	if (size > TAR_PATH_MAX)
		return refuse(pack, "its path is too long");
	memcpy(pack->path + parent_size, name, strlen(name) + 1);
	how = selected(pack, pack->path);
	if (how == OUTSIDE)
		return 0;
	if (strncmp(name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
		return refuse(pack, "its name would be read as a whiteout");
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return fail(pack, "cannot look at");
	if (S_ISDIR(st.st_mode))
		return pack_dir(pack, parent, name, size, depth);
	if (how == ABOVE || S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode))
		return 0;
	if (S_ISREG(st.st_mode))
		return pack_file(pack, parent, name);
	if (S_ISLNK(st.st_mode))
		return pack_symlink(pack, parent, name, &st);
	if (is_whiteout(&st))
		return pack_marker(pack, pack->path, parent_size, WHITEOUT_PREFIX, name);
	return refuse(pack, "it is a device");
}

static int pack_children(struct pack *pack, int dirfd, size_t path_size, int depth) {
	struct names names = {0};
	int failed = 0;

	if (names_read(&names, dirfd) != 0)
		failed = fail(pack, "cannot list");
	for (size_t i = 0; i < names.used && !failed; i++)
		failed = pack_entry(pack, dirfd, names.list[i], path_size, depth);
	names_free(&names);
	return failed;
}

static int pack_jailed(int rootfd, void *context, struct job_result *result) {
	struct pack *pack = context;
	int failed = -1;

	pack->result = result;
	pack->entry = calloc(1, sizeof(*pack->entry));
	if (!pack->entry || tar_writer_open(&pack->writer, pack->data_fd) != 0) {
		free(pack->entry);
		return job_fail(result, "pack", "out of memory");
	}
	if (pack_children(pack, rootfd, 0, 0) == 0)
		failed = tar_write_end(&pack->writer) == 0 ? 0 : job_fail(result, "write", "cannot send the layer: %m");
	result->bytes = pack->writer.total;
	tar_writer_close(&pack->writer);
	tar_entry_reset(pack->entry);
	free(pack->entry);
	for (size_t i = 0; i < pack->cap_links; i++)
		free(pack->links[i].path);
	free(pack->links);
	return failed;
}

int archive_pack(int work_dirfd, const char *upper_name, int data_fd, const char *const *only, long long mtime_clamp,
                 const struct idmap *map, struct job_result *result) {
	struct pack pack = {.data_fd = data_fd, .only = only, .mtime_clamp = mtime_clamp, .map = map};
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
