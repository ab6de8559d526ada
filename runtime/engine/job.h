/* One job, for those who start one (jobs.c, jobs_sandbox.c). */
#ifndef WAFER_JOB_H
#define WAFER_JOB_H

#include "engine.h"
#include "jobs.h"
#include "processes.h"

enum job_kind {
	UNPACK, PACK, REMOVE, MEASURE, ADOPT, READ_FILES, WRITE_FILES, PROCESSES,
	/* jobs_volumes.c */
	SEAL, COPY, LIST_VOLUME, READ_PART, READ_VOLUME, WRITE_VOLUME
};

#define MAX_UNPACKED (64ULL << 30)
#define MAX_ENTRIES 2000000ULL

/* What a child needs; strings live as long as the request. Descriptors are -1 where not used. */
struct work {
	enum job_kind kind;
	const char *name;
	int data, directory;
	struct adopt adopt;
	const char **only;
	uint64_t mtime;
	bool has_mtime;
	struct unpack_limits limits;
	struct idmap ids;
	/* In a sandbox. */
	struct inside inside;
	struct volume_work volume;
	int fields; /* PROCESSES: what the child adds to the answer */
	pid_t init;
	const struct ids *engine_ids;
	enum profile profile;
	unsigned private_id;
};

/* `request` 0: nobody waits for the end. */
int job_start(struct engine *engine, uint32_t request, const struct work *work);
/* A name that the request must give; NULL after answering. */
const char *need_name(struct engine *engine, const struct message *message, const char *key);
/* Answers with what `job_start` refused. */
void job_refused(struct engine *engine, uint32_t request, enum job_kind kind);
/* Connects the stream `data` and starts; answers when it can not. */
void job_start_with_data(struct engine *engine, const struct message *message, struct work *work);

#endif
