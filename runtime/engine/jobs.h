/*
 * Long file work and the egress relay.
 *
 * Each job runs in a forked child of the engine, in the engine's user
 * namespace, uses only the descriptors it is given, and returns 0, or -1 with
 * `step` and `message` of the result filled in. The caller (jobs.c) forks, sets
 * rlimits, connects the data stream to the host socket, and sends the reply.
 */
#ifndef WAFER_JOBS_H
#define WAFER_JOBS_H

struct job_result {
	unsigned long long entries, bytes;
	int existed;
	unsigned long long left_out; /* of pack: sockets, FIFOs, attributes */
	char step[32];
	char message[512];
};

/* How ids of container files look inside the engine's user namespace. */
struct idmap {
	unsigned int layer_first; /* engine-inside id of container id 0 */
	unsigned int layer_count; /* container ids 0..layer_count-1 exist */
	unsigned int nobody;      /* engine-inside id of container id 65534 */
	int single;               /* single-id mode: everything is 0 */
	int only;                 /* everything is one id, out there and in here */
	unsigned int only_inside, only_outside;
};

struct unpack_limits {
	unsigned long long max_bytes, max_entries;
};

/* archive*.c: a tar stream -> `name` in layers_dirfd (by a temporary, then rename). */
int archive_unpack(int data_fd, int layers_dirfd, const char *name, const struct idmap *map,
                   const struct unpack_limits *limits, struct job_result *result);

/* archive*.c: `upper_name`/upper in work_dirfd -> an OCI layer tar on data_fd.
 * `only` is a NULL-terminated list of path prefixes, or NULL; mtime_clamp -1 = none. */
int archive_pack(int work_dirfd, const char *upper_name, int data_fd, const char *const *only,
                 long long mtime_clamp, const struct idmap *map, struct job_result *result);

/* adopt.c: `upper`/upper becomes `layer`. The host's two directories have to be of one mount. */
struct adopt {
	int work, host_work, host_layers;
	const char *upper, *layer;
};
int layer_adopt(const struct adopt *adopt, const struct idmap *map, struct job_result *result);

/* Where and as whom a job works in a live sandbox. */
struct inside {
	int mounts, users; /* its namespaces */
	const char *path;  /* absolute, as seen inside */
	int single;        /* a single-id map: it has no setgroups */
};

/* A path that does not lead to anything: the worker tells `not_found`. */
#define STEP_LOOK_UP "look-up"

/* archive_files.c: files of a live sandbox as a tar, and a tar into one of its directories. */
int files_read(const struct inside *inside, int data_fd, struct job_result *result);
int files_write(const struct inside *inside, int data_fd, const struct unpack_limits *limits,
                struct job_result *result);

/* What a job is to do with a volume (volume_files.c, volume_copy.c). `names` are directories of --volumes, bottom first. */
#define MAX_VOLUME_LAYERS 16
struct volume_work {
	const char *names[MAX_VOLUME_LAYERS], *upper, *to, *path;
	unsigned long long count, offset, length;
	int links; /* files become hard links: nothing of either is ever written to */
};

/*
 * volume_copy.c: everything that is in the layers, as the new directory `to`; by links, by clones, or by copies, as the
 * file system has it. The upper of a transaction becomes the layer `to`, safe on the disk; what has nothing in it
 * becomes none (`entries` 0).
 */
int volume_copy(int volumes, const struct volume_work *work, struct job_result *result);
int volume_seal(int volumes, const struct volume_work *work, struct job_result *result);

/*
 * volume_files.c: what is in a directory or at a path, one record `type mode size mtime-ms name NUL` each; bytes of a
 * file; a tar of a path; a tar into a directory.
 */
int volume_list(int volumes, const struct volume_work *work, int data_fd, struct job_result *result);
int volume_read_part(int volumes, const struct volume_work *work, int data_fd, struct job_result *result);
int volume_read(int volumes, const struct volume_work *work, int data_fd, const struct idmap *map,
                struct job_result *result);
int volume_write(int volumes, const struct volume_work *work, int data_fd, const struct idmap *map,
                 const struct unpack_limits *limits, struct job_result *result);

/* archive_files.c: the same as in a live sandbox, of a directory. */
int files_read_below(int dirfd, const char *path, int data_fd, const struct idmap *map, struct job_result *result);
int files_write_below(int dirfd, const char *path, int data_fd, const struct idmap *map,
                      const struct unpack_limits *limits, struct job_result *result);

/* remove.c: removes the tree `name` of parent_dirfd, never following a link. */
int tree_remove(int parent_dirfd, const char *name, struct job_result *result);

/* measure.c: bytes on disk and entries of the tree `name` of parent_dirfd; nothing when it is not there. */
int tree_measure(int parent_dirfd, const char *name, struct job_result *result);

/* relay.c: the relay's main; `sock` is a SOCK_SEQPACKET socket on which the
 * engine hands over the sockets of sandboxes. Never returns. */
_Noreturn void relay_main(int sock, const char *host_socket_path);
int relay_send_sandbox(int sock, const char *sandbox_id, const int *tcp_listeners, int n_tcp,
                       const int *udp_sockets, int n_udp);
/* A connection in the sandbox and one to the host that belong together; the caller's copies stay its own. */
int relay_send_pair(int sock, const char *sandbox_id, int inside, int host);
int relay_forget(int sock, const char *sandbox_id);

#endif
