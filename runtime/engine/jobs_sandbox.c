/* Jobs about a live sandbox: its processes, its files. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "job.h"
#include "sandbox.h"

/* Reading a process's /proc may have to wait for it: not the loop's work. */
void job_processes(struct engine *engine, const struct message *message)
{
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	cleanup_fd int fields = memfd_create("processes", MFD_CLOEXEC);
	struct work work = { .kind = PROCESSES,
		                 .data = -1,
		                 .directory = engine->procfd,
		                 .inside = { .mounts = -1, .users = -1 },
		                 .fields = fields,
		                 .init = sandbox->pid,
		                 .engine_ids = &engine->ids,
		                 .profile = sandbox->profile,
		                 .private_id = sandbox->private_id };
	int bad = fields < 0 ? fault("processes", "memfd") : 0;
	if (bad || job_start(engine, message->id, &work))
		reply_fault(engine, message->id, "processes_failed");
}

static void start_in(struct engine *engine, const struct message *message, enum job_kind kind)
{
	const char *path = message_get(message, "path");
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	if (!path || *path != '/' || path_climbs(path)) {
		refuse("request", "path is not absolute, or has a \"..\": \"%.128s\"", path ? path : "");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	if (sandbox->mounts < 0) {
		refuse("request", "files are read and written in builds and containers only");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	struct work work = { .kind = kind,
		                 .data = -1,
		                 .directory = -1,
		                 .fields = -1,
		                 .limits = { MAX_UNPACKED, MAX_ENTRIES },
		                 .inside = { sandbox->mounts, sandbox->users, path, engine->ids.single } };
	job_start_with_data(engine, message, &work);
}

void job_read_files(struct engine *engine, const struct message *message)
{
	start_in(engine, message, READ_FILES);
}

void job_write_files(struct engine *engine, const struct message *message)
{
	start_in(engine, message, WRITE_FILES);
}
