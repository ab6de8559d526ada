/*
 * One file of an upper as members of a layer. The walk (archive_pack.c) names it
 * in packer->path and says what it is; the mirror image of archive_apply.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

enum { XATTR_BYTES = 65536 };

int member_fail(struct packer *packer, const char *what) {
	char quoted[TAR_QUOTED];

	return job_fail(packer->result, "pack", "%s \"%s\": %m", what, path_quote(packer->path, quoted));
}

int member_refuse(struct packer *packer, const char *why) {
	char quoted[TAR_QUOTED];

	return job_fail(packer->result, "pack", "\"%s\" can not be in %s: %s", path_quote(packer->path, quoted),
	                packer->plain ? "an archive" : "a layer", why);
}

int member_vanished(const struct packer *packer) {
	return packer->plain && errno == ENOENT;
}

static int write_header(struct packer *packer) {
	if (tar_write_header(&packer->writer, packer->entry) != 0)
		return job_fail(packer->result, "write", "cannot send the layer: %m");
	packer->result->entries++;
	return 0;
}

static void start_entry(struct packer *packer, const struct stat *st, char type) {
	struct tar_entry *entry = packer->entry;
	long long mtime = st->st_mtim.tv_sec < 0 ? 0 : st->st_mtim.tv_sec;

	tar_entry_reset(entry);
	memcpy(entry->path, packer->path, strlen(packer->path) + 1);
	entry->type = type;
	entry->mode = st->st_mode & 07777;
	entry->uid = id_outside(packer->map, st->st_uid);
	entry->gid = id_outside(packer->map, st->st_gid);
	entry->mtime = packer->mtime_clamp >= 0 && mtime > packer->mtime_clamp ? packer->mtime_clamp : mtime;
}

static int compare_xattrs(const void *a, const void *b) {
	return strcmp(((const struct tar_xattr *)a)->name, ((const struct tar_xattr *)b)->name);
}

static int add_xattr(struct packer *packer, int fd, const char *name, char *value) {
	ssize_t size = fgetxattr(fd, name, value, XATTR_BYTES);

	if (size < 0)
		return errno == ENODATA ? 0 : member_fail(packer, "cannot read an extended attribute of");
	if (tar_entry_add_xattr(packer->entry, name, strlen(name), value, (size_t)size) != 0)
		return member_fail(packer, "too many extended attributes at");
	return 0;
}

/* Sorted. A name with "=" can not be said in a PAX record. */
static int read_xattrs(struct packer *packer, int fd) {
	char *list = malloc(2 * XATTR_BYTES);
	ssize_t size;
	int failed = 0;

	if (!list)
		return member_fail(packer, "out of memory at");
	size = flistxattr(fd, list, XATTR_BYTES);
	if (size < 0 && errno != ENOTSUP)
		failed = member_fail(packer, "cannot list the extended attributes of");
	for (ssize_t at = 0; at < size && !failed; at += (ssize_t)strlen(list + at) + 1)
		if (tar_keeps_xattr(list + at, strlen(list + at)) && !strchr(list + at, '='))
			failed = add_xattr(packer, fd, list + at, list + XATTR_BYTES);
		else if (strncmp(list + at, "user.overlay.", 13) != 0)
			packer->result->left_out++;
	free(list);
	qsort(packer->entry->xattrs, (size_t)packer->entry->n_xattrs, sizeof(packer->entry->xattrs[0]), compare_xattrs);
	return failed;
}

static int send_content(struct packer *packer, int fd, unsigned long long size) {
	char buffer[65536];
	unsigned long long left = size;

	while (left > 0) {
		ssize_t got = read(fd, buffer, left < sizeof(buffer) ? (size_t)left : sizeof(buffer));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return member_fail(packer, "cannot read");
		if (got == 0 && !packer->plain)
			return member_refuse(packer, "it shrank while it was read");
		if (got == 0) {
			/* As GNU tar does with a log that was cut: the header has gone out. */
			memset(buffer, 0, sizeof(buffer));
			got = left < sizeof(buffer) ? (ssize_t)left : (ssize_t)sizeof(buffer);
		}
		if (tar_write(&packer->writer, buffer, (size_t)got) != 0)
			return job_fail(packer->result, "write", "cannot send the layer: %m");
		left -= (unsigned long long)got;
	}
	if (tar_write_padding(&packer->writer, size) != 0)
		return job_fail(packer->result, "write", "cannot send the layer: %m");
	return 0;
}

int member_file(struct packer *packer, int parent, const char *name) {
	CLEANUP_FD int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const char *first = NULL;
	struct stat st;

	if (fd < 0 && member_vanished(packer))
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return member_fail(packer, "cannot open");
	if (st.st_nlink > 1 && links_first(&packer->links, &st, packer->path, &first) != 0)
		return member_fail(packer, "out of memory at");
	start_entry(packer, &st, first ? '1' : '0');
	if (first) {
		memcpy(packer->entry->link, first, strlen(first) + 1);
		return write_header(packer);
	}
	packer->entry->size = (unsigned long long)st.st_size;
	if (read_xattrs(packer, fd) != 0 || write_header(packer) != 0)
		return -1;
	return send_content(packer, fd, (unsigned long long)st.st_size);
}

int member_symlink(struct packer *packer, int parent, const char *name, const struct stat *st) {
	ssize_t size;

	start_entry(packer, st, '2');
	packer->entry->mode = 0777;
	size = readlinkat(parent, name, packer->entry->link, TAR_PATH_MAX);
	if (size < 0 && member_vanished(packer))
		return 0;
	if (size < 0)
		return member_fail(packer, "cannot read the link");
	packer->entry->link[size] = '\0';
	return write_header(packer);
}

/* An empty file `DIR/.wh.NAME` (or the opaque marker); owner and time say nothing. */
static int marker(struct packer *packer, const char *directory, size_t directory_size, const char *marker,
                       const char *name) {
	struct tar_entry *entry = packer->entry;

	tar_entry_reset(entry);
	if (directory_size + strlen(marker) + strlen(name) > TAR_PATH_MAX || strlen(marker) + strlen(name) > TAR_NAME_MAX)
		return member_refuse(packer, "the name of its whiteout is too long");
	snprintf(entry->path, sizeof(entry->path), "%.*s%s%s", (int)directory_size, directory, marker, name);
	entry->type = '0';
	entry->mode = 0;
	return write_header(packer);
}

int member_whiteout(struct packer *packer, size_t parent_size, const char *name) {
	return marker(packer, packer->path, parent_size, WHITEOUT_PREFIX, name);
}

static int is_opaque(int dirfd) {
	char value[2] = "";

	return fgetxattr(dirfd, OPAQUE_XATTR, value, sizeof(value)) == 1 && value[0] == 'y';
}

int member_dir(struct packer *packer, int fd, const struct stat *st, int with_content) {
	start_entry(packer, st, '5');
	if (read_xattrs(packer, fd) != 0 || write_header(packer) != 0)
		return -1;
	if (with_content && !packer->plain && is_opaque(fd))
		return marker(packer, packer->path, strlen(packer->path), OPAQUE_NAME, "");
	return 0;
}
