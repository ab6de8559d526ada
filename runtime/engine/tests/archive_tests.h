/* Shared by the archive tests: tars in memory, and a private world to unpack them in. */
#ifndef WAFER_ARCHIVE_TESTS_H
#define WAFER_ARCHIVE_TESTS_H

#include <stddef.h>

#include "jobs.h"

/* archive_tar.c: a tar under construction; t_finish adds the end marker. */
struct tar {
	unsigned char *data;
	size_t size;
};
struct member {
	const char *name;
	char type; /* default '0' */
	const char *content;
	const char *link;
	unsigned int mode; /* default 0644 */
	unsigned int uid, gid;
	long long mtime;
	unsigned long long size; /* for `lie`: what the header says */
	int lie;
};
void t_add(struct tar *tar, struct member member);
void t_block(struct tar *tar, const void *block);
void t_pax(struct tar *tar, char type, const char *key, const char *value);
void t_long(struct tar *tar, char type, const char *name);
void t_raw(struct tar *tar, const void *data, size_t size);
void t_checksum(unsigned char *block);
void t_finish(struct tar *tar);

#define M(...) ((struct member){__VA_ARGS__})

/* archive_world.c */
extern int layers_fd, work_fd;
extern const struct idmap *world_map;
/* Runs `tests` in a user namespace of its own; the exit status of the program. */
int world_run(int (*tests)(void));
int t_unpack(struct tar *tar, struct job_result *result); /* as layer "layer"; frees the tar */
int t_unpack_limited(struct tar *tar, const struct unpack_limits *limits, struct job_result *result);
void ok(int condition, const char *format, ...) __attribute__((format(printf, 2, 3)));
int failures(void);
/* The layer is refused with `text` in the message, nothing of it is left, and nothing else changed. */
void refused(struct tar *tar, const char *text, const char *title);
/* The layer is accepted and nothing else changed. */
void accepted(struct tar *tar, const char *title);
void forget_layer(void);
char *read_layer_file(const char *path); /* static buffer; NULL when it is no regular file */
int layer_mode(const char *path);        /* st_mode, or -1 */
int world_intact(void);                  /* only the victim layer (and "layer" if `with_layer`) */

/* archive_check.c: of a path in the unpacked layer */
void one_refused(struct member member, const char *text, const char *title);
int is_char_0_0(const char *path);
int layer_xattr(const char *path, const char *name, char *value, size_t size);
int is_opaque(const char *path);
int text_is(const char *path, const char *want);

/* archive_test_*.c */
void archive_names_tests(void);
void archive_entries_tests(void);
void archive_damage_tests(void);
void archive_whole_tests(void);

#endif
