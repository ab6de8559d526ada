/*
 * One archive member into the tree: what is allowed, and how it looks on disk.
 *
 *   directory, file, symlink   made anew; a later member replaces an earlier one
 *                              (directory over directory: only its attributes)
 *   hard link                  to a regular file that this archive made before
 *   `.wh.NAME`                 the device 0:0 (an overlayfs whiteout)
 *   `.wh..wh..opq`             user.overlay.opaque=y on its directory
 *   devices, FIFOs             refused; below `dev/` passed over, since a sandbox
 *                              has its own /dev and root file systems made by
 *                              debootstrap and its kin carry some
 *   anything else              refused
 *
 * Set-user-id and set-group-id bits never reach the disk: every mount of a
 * sandbox is nosuid, and a layer's tar keeps them for registries. Extended
 * attributes are `user.*` only (archive_header.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

struct member {
	const struct tar_entry *entry;
	char path[TAR_PATH_MAX + 1]; /* normalised */
	char quoted[TAR_QUOTED];
	const char *base;
	int parent;
};

static int fail(struct tree *tree, const struct member *member, const char *what) {
	return job_fail(tree->result, "unpack", "%s \"%s\": %m", what, member->quoted);
}

static int refuse(struct tree *tree, const struct member *member, const char *why) {
	return job_fail(tree->result, "unpack", "\"%s\" is refused: %s", member->quoted, why);
}

/* Owner, attributes, mode in this order: a change of owner clears mode bits. Times of directories come last of all. */
static int set_attributes(struct tree *tree, const struct member *member, int fd, unsigned int mode_mask) {
	const struct tar_entry *entry = member->entry;

	if (fchown(fd, id_inside(tree->map, entry->uid), id_inside(tree->map, entry->gid)) != 0)
		return fail(tree, member, "cannot set the owner of");
	for (int i = 0; i < entry->n_xattrs; i++) {
		const struct tar_xattr *xattr = &entry->xattrs[i];

		if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) != 0)
			return fail(tree, member, "cannot set an extended attribute of");
	}
	if (fchmod(fd, entry->mode & mode_mask) != 0)
		return fail(tree, member, "cannot set the mode of");
	return 0;
}

static int write_all(int fd, const unsigned char *data, size_t size) {
	while (size > 0) {
		ssize_t wrote = write(fd, data, size);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -1;
		data += wrote;
		size -= (size_t)wrote;
	}
	return 0;
}

/* A piece of zeros becomes a hole: a sparse file takes no more room here than where it came from. */
static int write_piece(int fd, const unsigned char *piece, size_t size) {
	if (tar_is_zero(piece, size))
		return lseek(fd, (off_t)size, SEEK_CUR) < 0 ? -1 : 0;
	return write_all(fd, piece, size);
}

static int apply_file(struct tree *tree, struct tar_reader *reader, const struct member *member,
                      const struct unpack_limits *limits) {
	const struct timespec times[2] = {{member->entry->mtime, member->entry->mtime_nsec},
	                                  {member->entry->mtime, member->entry->mtime_nsec}};
	const unsigned char *piece;
	ssize_t size;
	CLEANUP_FD int fd = -1;

	if (member->entry->size > limits->max_bytes - tree->result->bytes)
		return job_fail(tree->result, "limit", "the archive holds more than %llu bytes", limits->max_bytes);
	if (tree_clear(tree, member->parent, member->base, 0) < 0)
		return -1;
	fd = openat(member->parent, member->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(tree, member, "cannot make the file");
	while ((size = tar_content(reader, &piece)) > 0) {
		if (write_piece(fd, piece, (size_t)size) != 0)
			return fail(tree, member, "cannot write");
		tree->result->bytes += (unsigned long long)size;
	}
	if (size < 0)
		return -1;
	/* The end may be a hole too. */
	if (ftruncate(fd, (off_t)member->entry->size) != 0)
		return fail(tree, member, "cannot set the size of");
	if (set_attributes(tree, member, fd, 0777) != 0)
		return -1;
	return futimens(fd, times) == 0 ? 0 : fail(tree, member, "cannot set the time of");
}

/* In a live sandbox a symbolic link may stand for a directory, of the root that is written to. */
static int links_to_dir(const struct tree *tree, const struct member *member) {
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	struct stat st;
	CLEANUP_FD int dir = -1;

	if (fstatat(member->parent, member->base, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode))
		return 0;
	dir = (int)syscall(SYS_openat2, tree->root, member->path, &how, sizeof(how));
	return dir >= 0;
}

static int apply_dir(struct tree *tree, const struct member *member) {
	int whiteout;
	CLEANUP_FD int dir = -1;

	if (tree->plain && links_to_dir(tree, member))
		return 0; /* /lib -> usr/lib stays, and what the archive has below it goes there */
	whiteout = tree_clear(tree, member->parent, member->base, 1);
	if (whiteout < 0)
		return -1;
	/* tree_clear keeps directories only; anything else is gone now. */
	dir = tree_make_dir(tree, member->parent, member->base);
	if (dir < 0)
		return -1;
	if (whiteout && tree_set_opaque(dir) != 0)
		return fail(tree, member, "cannot mark opaque");
	if (set_attributes(tree, member, dir, 01777) != 0)
		return -1;
	return tree_note_time(tree, member->path, member->entry->mtime, member->entry->mtime_nsec);
}

static int apply_root(struct tree *tree, const struct member *member) {
	if (member->entry->type != '5')
		return refuse(tree, member, "the root is a directory");
	if (tree->plain)
		return 0; /* it is the sandbox's own directory */
	if (set_attributes(tree, member, tree->root, 01777) != 0)
		return -1;
	return tree_note_time(tree, "", member->entry->mtime, member->entry->mtime_nsec);
}

static int apply_symlink(struct tree *tree, const struct member *member) {
	const struct tar_entry *entry = member->entry;
	const struct timespec times[2] = {{entry->mtime, entry->mtime_nsec}, {entry->mtime, entry->mtime_nsec}};

	if (entry->link[0] == '\0')
		return refuse(tree, member, "a symbolic link to nothing");
	if (tree_clear(tree, member->parent, member->base, 0) < 0)
		return -1;
	if (symlinkat(entry->link, member->parent, member->base) != 0)
		return fail(tree, member, "cannot make the symbolic link");
	if (fchownat(member->parent, member->base, id_inside(tree->map, entry->uid), id_inside(tree->map, entry->gid),
	             AT_SYMLINK_NOFOLLOW) != 0)
		return fail(tree, member, "cannot set the owner of");
	if (utimensat(member->parent, member->base, times, AT_SYMLINK_NOFOLLOW) != 0)
		return fail(tree, member, "cannot set the time of");
	return 0;
}

/* The directory of a link's target; no symlink on the way, and it has to exist. */
static int open_target_parent(const struct tree *tree, const char *target, const char **base) {
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	const char *slash = strrchr(target, '/');
	char parent[TAR_PATH_MAX + 1] = ".";

	*base = slash ? slash + 1 : target;
	if (slash) {
		memcpy(parent, target, (size_t)(slash - target));
		parent[slash - target] = '\0';
	}
	return (int)syscall(SYS_openat2, tree->root, parent, &how, sizeof(how));
}

static int apply_hard_link(struct tree *tree, const struct member *member) {
	char target[TAR_PATH_MAX + 1];
	const char *why = "", *base;
	struct stat st, old;
	CLEANUP_FD int parent = -1;

	if (path_normalise(member->entry->link, target, &why) != 0)
		return refuse(tree, member, why);
	parent = open_target_parent(tree, target, &base);
	if (target[0] == '\0' || parent < 0 || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return refuse(tree, member, "a hard link to something that is not in this archive");
	if (!S_ISREG(st.st_mode))
		return refuse(tree, member, "a hard link to something that is not a regular file");
	if (fstatat(member->parent, member->base, &old, AT_SYMLINK_NOFOLLOW) == 0 && old.st_dev == st.st_dev &&
	    old.st_ino == st.st_ino)
		return strcmp(target, member->path) == 0 ? refuse(tree, member, "a hard link to itself") : 0;
	if (tree_clear(tree, member->parent, member->base, 0) < 0)
		return -1;
	if (linkat(parent, base, member->parent, member->base, 0) != 0)
		return fail(tree, member, "cannot make the hard link");
	return 0;
}

static int apply_opaque(struct tree *tree, const struct member *member) {
	if (strchr(member->path, '/') == NULL)
		return refuse(tree, member, "an opaque whiteout of the root");
	return tree_set_opaque(member->parent) == 0 ? 0 : fail(tree, member, "cannot mark opaque the directory of");
}

/* Hides what lower layers have under the name; what this layer has under it stays. */
static int apply_whiteout(struct tree *tree, const struct member *member) {
	const char *hidden = member->base + strlen(WHITEOUT_PREFIX);
	struct stat st;
	CLEANUP_FD int dir = -1;

	if (member->entry->type != '0')
		return refuse(tree, member, "a whiteout that is not a regular file");
	if (member->entry->size > 0)
		return refuse(tree, member, "a whiteout with content");
	if (strcmp(member->base, OPAQUE_NAME) == 0)
		return apply_opaque(tree, member);
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0 ||
	    strncmp(hidden, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
		return refuse(tree, member, "a whiteout of no valid name");
	if (fstatat(member->parent, hidden, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISDIR(st.st_mode))
			return 0;
		dir = openat(member->parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return dir >= 0 && tree_set_opaque(dir) == 0 ? 0 : fail(tree, member, "cannot mark opaque the directory of");
	}
	if (errno != ENOENT || mknodat(member->parent, hidden, S_IFCHR, makedev(0, 0)) != 0)
		return fail(tree, member, "cannot make the whiteout");
	return 0;
}

static int apply_special(struct tree *tree, const struct member *member) {
	const char type = member->entry->type;

	if (type == '3' || type == '4' || type == '6') {
		if (strncmp(member->path, "dev/", 4) == 0)
			return 0;
		return refuse(tree, member, type == '6' ? "it is a FIFO" : "it is a device");
	}
	if (type == 'S')
		return refuse(tree, member, "sparse files are not supported");
	return refuse(tree, member, "its entry type is not supported");
}

/* A directory `.wh.x` can be said neither in a layer nor to overlayfs. */
static int below_whiteout(const char *path) {
	const size_t size = strlen(WHITEOUT_PREFIX);

	while (strchr(path, '/')) {
		if (strncmp(path, WHITEOUT_PREFIX, size) == 0)
			return 1;
		path = strchr(path, '/') + 1;
	}
	return 0;
}

int apply_entry(struct tree *tree, struct tar_reader *reader, const struct tar_entry *entry,
                const struct unpack_limits *limits) {
	struct member member = {.entry = entry};
	const char *why = "";

	path_quote(entry->path, member.quoted);
	if (tree->result->entries++ >= limits->max_entries)
		return job_fail(tree->result, "limit", "the archive holds more than %llu entries", limits->max_entries);
	if (entry->path[0] == '\0')
		return refuse(tree, &member, "an empty name");
	if (path_normalise(entry->path, member.path, &why) != 0)
		return refuse(tree, &member, why);
	if (member.path[0] == '\0')
		return apply_root(tree, &member);
	if (entry->type != '0' && entry->type != '1' && entry->type != '2' && entry->type != '5')
		return apply_special(tree, &member);
	if (!tree->plain && below_whiteout(member.path))
		return refuse(tree, &member, "it lies below a whiteout");
	member.parent = tree_parent(tree, member.path, &member.base);
	if (member.parent < 0)
		return -1;
	if (!tree->plain && strncmp(member.base, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
		return apply_whiteout(tree, &member);
	switch (entry->type) {
	case '0':
		return apply_file(tree, reader, &member, limits);
	case '1':
		return apply_hard_link(tree, &member);
	case '2':
		return apply_symlink(tree, &member);
	default:
		return apply_dir(tree, &member);
	}
}
