/* A checked `create` or `exec` request. All strings belong to the message. */
#ifndef WAFER_REQUEST_H
#define WAFER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum profile { PROFILE_FUNCTION, PROFILE_BUILD, PROFILE_CONTAINER };

#define MAX_GROUPS 32

/* Ids as seen inside. */
struct user {
	bool given;
	uint32_t uid, gid;
	uint32_t groups[MAX_GROUPS]; /* supplementary */
	size_t group_count;
};

struct window {
	bool given;
	uint16_t rows, columns;
};

struct program {
	const char **argv; /* [0] is NULL only in a parked sandbox's spec */
	const char **envp;
	const char *cwd;
	struct user user; /* not for functions, which are always their one user */
	const char *logs, *input; /* tokens, or NULL */
	struct window terminal;
};

struct file_mount {
	const char *name; /* in --work; not terminated: see name_length */
	size_t name_length;
	const char *path; /* absolute, inside */
};

struct volume_mount {
	char name[128 + 1];      /* in --volumes */
	char temporary[64];      /* what it is called while it is being filled; "": it exists */
	bool read_only;
	const char *path; /* absolute, inside */
};

/* `NAME:HEX` each, checked; files of a function at /run/secrets. */
struct secrets {
	const char **texts;
	size_t count;
};

#define MAX_SECRETS 64
#define MAX_SECRET 65536

struct spec {
	const char *id;
	enum profile profile;
	const char **layers, **code_layers; /* bottom first */
	size_t layer_count, code_count;
	const char *upper; /* NULL: the root is read-only */
	struct program program;
	const char *control; /* token, or NULL */
	const char *zygote;  /* name of the one that makes the program, or NULL */
	const char *hostname; /* NULL: the usual one */
	uint64_t memory, pids, cpu, tmp, tmp_inodes, nofile, fsize; /* 0: not given */
	bool egress;
	const char *hosts, *resolv;
	struct file_mount *mounts;
	size_t mount_count;
	struct volume_mount *volumes;
	size_t volume_count;
	const char **points; /* absolute, inside: where a function's volumes can be shown later */
	size_t point_count;
	struct secrets secrets;
};

#define MAX_LAYERS 128
#define MAX_POINTS 8

int spec_parse(struct spec *spec, const struct message *message);
void spec_free(struct spec *spec);
/* Refuses a request without `arg`, unless it may park. */
int program_parse(struct program *program, const struct message *message, bool may_park);
void program_free(struct program *program);
/* An optional unsigned number; -1 after `refuse` when it is none. */
int number_parse(const struct message *message, const char *key, uint64_t *value);
/* secrets.c: `secret`*; its faults never repeat a value. */
int secrets_parse(struct secrets *secrets, const struct message *message);
void secrets_free(struct secrets *secrets);
/* An absolute path with a ".." in it. */
bool path_climbs(const char *path);
/* `terminal`, if it is there: ROWSxCOLUMNS. */
int window_parse(struct window *window, const struct message *message);

#endif
