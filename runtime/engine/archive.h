/* Internals of the archive jobs: tar reading, tar writing, paths, ids. See jobs.h for the jobs. */
#ifndef WAFER_ARCHIVE_H
#define WAFER_ARCHIVE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include "jobs.h"

enum {
	TAR_BLOCK = 512,
	TAR_PATH_MAX = 4095,          /* bytes of a whole path */
	TAR_NAME_MAX = 255,           /* bytes of one component */
	TAR_DEPTH_MAX = 256,          /* components */
	TAR_EXTENSION_MAX = 1 << 20,  /* one extended header, and all of one entry */
	TAR_XATTRS_MAX = 64,          /* of one entry */
	TAR_QUOTED = 256,
};
#define TAR_EXTENSIONS_TOTAL (256ULL << 20)
#define TAR_MTIME_MAX 253402300799LL /* the year 9999 */
#define TAR_UNKNOWN_ID (~0ULL)
#define TAR_DEFAULT_BYTES (16ULL << 30)
#define TAR_DEFAULT_ENTRIES 500000ULL

#define WHITEOUT_PREFIX ".wh."
#define OPAQUE_NAME ".wh..wh..opq"
#define OPAQUE_XATTR "user.overlay.opaque"
/* As overlayfs says it; in a tar it is a name with WHITEOUT_PREFIX. */
static inline int is_whiteout(const struct stat *st) {
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

struct tar_xattr {
	char *name;
	void *value;
	size_t size;
};

/* One archive member. Strings are as they stand in the archive, without NUL inside. */
struct tar_entry {
	char path[TAR_PATH_MAX + 1];
	char link[TAR_PATH_MAX + 1];
	char type; /* '0' file, '1' hard link, '2' symlink, '5' directory, else as in the header */
	unsigned int mode;
	unsigned long long uid, gid, size;
	long long mtime;
	long mtime_nsec;
	struct tar_xattr xattrs[TAR_XATTRS_MAX];
	int n_xattrs;
};

/* archive_entry.c */
void tar_entry_reset(struct tar_entry *entry);
/* Copies name and value. -1 with errno: E2BIG or ENOMEM. */
int tar_entry_add_xattr(struct tar_entry *entry, const char *name, size_t name_size, const void *value, size_t size);
/* Kept: `user.*` but overlayfs' own. Everything else (security.*, trusted.*, system.*) is dropped, both ways. */
int tar_keeps_xattr(const char *name, size_t size);
long long tar_clamp_time(long long seconds);

/* What extended headers say about the next member. */
struct tar_overrides {
	int has_path, has_link, has_size, has_uid, has_gid, has_mtime;
	unsigned long long size, uid, gid;
	long long mtime;
	long mtime_nsec;
};

/* archive_read.c: pulls members out of an untrusted stream. */
struct tar_reader {
	int fd;
	struct job_result *result;
	unsigned char *buffer;
	size_t head, tail;
	unsigned long long left, pad;   /* of the current member's content */
	unsigned long long extensions;  /* bytes of extended headers so far */
	struct tar_overrides global;
};
int tar_open(struct tar_reader *reader, int fd, struct job_result *result);
void tar_close(struct tar_reader *reader);
/* 1: `entry` is filled in; 0: the end marker; -1: failed. Skips what is left of the member before. */
int tar_next(struct tar_reader *reader, struct tar_entry *entry);
/* Next piece of the current member's content; 0 at its end, -1 failed. Valid until the next call. */
ssize_t tar_content(struct tar_reader *reader, const unsigned char **piece);
/* Reads to the end of the stream, which may hold nothing but zeros after the end marker. */
int tar_finish(struct tar_reader *reader);

/* archive_header.c: fields of a header block. */
int tar_checksum_ok(const unsigned char *block);
int tar_is_zero(const unsigned char *block, size_t size);
int tar_parse_header(const unsigned char *block, struct tar_entry *entry, const struct tar_overrides *overrides,
                     struct job_result *result);

/* archive_pax.c */
/* Applies the records to `entry` (path, link, xattrs) and `overrides`. With `global` only times and owners count. */
int tar_parse_pax(const char *data, size_t size, int global, struct tar_entry *entry, struct tar_overrides *overrides,
                  struct job_result *result);

/* archive_path.c */
/* Strips leading "/" and "./", doubled and trailing slashes and "." components. Refuses "..", and what is too
 * long or too deep. "" is the root. -1: `why` names the reason. */
int path_normalise(const char *raw, char out[TAR_PATH_MAX + 1], const char **why);
/* Printable ASCII for messages; the rest as \xNN, cut with "...". Returns `out`. */
const char *path_quote(const char *raw, char out[TAR_QUOTED]);
unsigned int id_inside(const struct idmap *map, unsigned long long container_id);
unsigned int id_outside(const struct idmap *map, unsigned int engine_id);

/* archive_tree.c: the tree under construction. Every look-up stays under `root`. */
struct tree {
	int root;
	const struct idmap *map;
	struct job_result *result;
	int parent_fd; /* cache: the directory that `parent_path` named last */
	char parent_path[TAR_PATH_MAX + 1];
	int plain; /* into a live sandbox: whiteouts mean nothing, a directory gives way to nothing else */
	int stale; /* something was removed: the cached path may mean something else now */
	struct dir_time *times;
	size_t n_times, cap_times;
	size_t path_bytes;
};
void tree_open(struct tree *tree, int rootfd, const struct idmap *map, struct job_result *result);
void tree_close(struct tree *tree);
/* The directory that holds `path` (normalised, not ""), made if absent. Owned by the tree. */
int tree_parent(struct tree *tree, const char *path, const char **base);
/* Makes room for a new `base`. 1 if a whiteout stood there, 0, or -1. A directory is kept if `keep_dir`. */
int tree_clear(struct tree *tree, int parent, const char *base, int keep_dir);
/* A descriptor of the directory (made if absent). */
int tree_make_dir(struct tree *tree, int parent, const char *base);
int tree_note_time(struct tree *tree, const char *path, long long seconds, long nsec);
int tree_set_times(struct tree *tree);
int tree_set_opaque(int dirfd);

/* archive_apply.c: one member into the tree. */
int apply_entry(struct tree *tree, struct tar_reader *reader, const struct tar_entry *entry,
                const struct unpack_limits *limits);

/* archive_write.c: deterministic members to a stream. */
struct tar_writer {
	int fd;
	unsigned char *buffer;
	size_t used;
	unsigned long long total;
};
int tar_writer_open(struct tar_writer *writer, int fd);
void tar_writer_close(struct tar_writer *writer);
int tar_write_header(struct tar_writer *writer, const struct tar_entry *entry);
int tar_write(struct tar_writer *writer, const void *data, size_t size);
int tar_write_padding(struct tar_writer *writer, unsigned long long size);
int tar_write_end(struct tar_writer *writer);

/* archive_links.c: under which path each inode was written first. */
struct links {
	struct seen_link *slots;
	size_t used, cap; /* cap is a power of two, or 0 */
};
/* `*first` is the path under which this inode was written before; NULL when this is the first (`path` is noted
 * then). -1: out of memory. */
int links_first(struct links *links, const struct stat *st, const char *path, const char **first);
void links_free(struct links *links);

/* archive_member.c: one file of an upper into the stream. All -1 with `result` filled in. */
struct packer {
	long long mtime_clamp; /* -1: none */
	const struct idmap *map;
	struct job_result *result;
	struct tar_writer writer;
	struct tar_entry *entry;
	struct links links;
	int plain; /* files of a live sandbox: whiteouts mean nothing, and files come, go and shrink meanwhile */
	char path[TAR_PATH_MAX + 2]; /* of the file at hand; a directory's ends in a slash */
};
int member_fail(struct packer *packer, const char *what); /* names the path and errno */
int member_refuse(struct packer *packer, const char *why);
/* The file that errno is about went away meanwhile, as those of a live sandbox may. */
int member_vanished(const struct packer *packer);
int member_file(struct packer *packer, int parent, const char *name);
int member_symlink(struct packer *packer, int parent, const char *name, const struct stat *st);
/* For the device `name` in the directory that the first `parent_size` bytes of the path name. */
int member_whiteout(struct packer *packer, size_t parent_size, const char *name);
/* `with_content`: an opaque directory hides what lies below it. */
int member_dir(struct packer *packer, int fd, const struct stat *st, int with_content);

/* archive_pack.c: what is sent. Without `name` the children of the root. */
struct pack {
	int data_fd;
	const char *const *only;
	const char *name; /* the entry's name: of the root itself, or, with `one`, of a file in it */
	int one;
	unsigned long long mount; /* 0, or what lies in another mount than this is not walked */
	const char *without; /* a child of the root that is passed over */
	struct packer out;
};
int pack_jailed(int rootfd, void *context, struct job_result *result); /* context: struct pack */

/* archive_unpack.c */
struct unpack {
	int data_fd;
	const struct idmap *map;
	struct unpack_limits limits;
	int plain;
};
int unpack_jailed(int rootfd, void *context, struct job_result *result); /* context: struct unpack */

#endif
