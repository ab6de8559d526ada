/* A checked `create` or `exec` request. All strings belong to the message. */
#ifndef WAFER_REQUEST_H
#define WAFER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum profile { PROFILE_FUNCTION, PROFILE_BUILD };

#define MAX_GROUPS 32

/* Ids as seen inside. */
struct user {
	bool given;
	uint32_t uid, gid;
	uint32_t groups[MAX_GROUPS]; /* supplementary */
	size_t group_count;
};

struct program {
	const char **argv; /* never empty */
	const char **envp;
	const char *cwd;
	struct user user; /* only builds may choose it */
};

struct file_mount {
	const char *name; /* in --work; not terminated: see name_length */
	size_t name_length;
	const char *path; /* absolute, inside */
};

struct spec {
	const char *id;
	enum profile profile;
	const char **layers, **code_layers; /* bottom first */
	size_t layer_count, code_count;
	const char *upper; /* NULL: the root is read-only */
	struct program program;
	const char *control, *logs; /* tokens, or NULL */
	uint64_t memory, pids, cpu, tmp, tmp_inodes, nofile, fsize; /* 0: not given */
	bool egress;
	const char *hosts, *resolv;
	struct file_mount *mounts;
	size_t mount_count;
};

#define MAX_LAYERS 128

int spec_parse(struct spec *spec, const struct message *message);
void spec_free(struct spec *spec);
int program_parse(struct program *program, const struct message *message);
void program_free(struct program *program);
/* An optional unsigned number; -1 after `refuse` when it is none. */
int number_parse(const struct message *message, const char *key, uint64_t *value);

#endif
