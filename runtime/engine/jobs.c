/* File work and the relay: forked children of the engine, so that the loop never waits for a disk. */
#define _GNU_SOURCE
#include "job.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOBS 64

static const char *const failures[] = { "unpack_failed", "pack_failed",   "remove_failed",
	                                    "measure_failed", "adopt_failed", "read_failed",
	                                    "write_failed",  "processes_failed", "seal_failed",
	                                    "copy_failed",   "read_failed",      "read_failed",
	                                    "read_failed",   "write_failed" };

struct job {
	struct job *next;
	struct source process;
	uint32_t request; /* 0: nobody waits for it */
	enum job_kind kind;
	int result, fields; /* a pipe from the child; a file of reply fields, or -1 */
};

static int processes_write(const struct work *work, struct job_result *result)
{
	struct buffer fields = { 0 };
	processes_describe(&fields, work->directory, work->init, work->engine_ids, work->profile,
	                   work->private_id);
	int bad = write_whole(work->fields, fields.data, fields.length);
	buffer_free(&fields);
	if (bad)
		snprintf(result->step, sizeof(result->step), "processes");
	return bad;
}

static int run_work(const struct work *work, struct job_result *result)
{
	switch (work->kind) {
	case UNPACK:
		return archive_unpack(work->data, work->directory, work->name, &work->ids, &work->limits,
		                      result);
	case PACK:
		return archive_pack(work->directory, work->name, work->data, work->only,
		                    work->has_mtime ? (long long)work->mtime : -1, &work->ids, result);
	case MEASURE:
		return tree_measure(work->directory, work->name, result);
	case ADOPT:
		return layer_adopt(&work->adopt, &work->ids, result);
	case REMOVE:
		return tree_remove(work->directory, work->name, result);
	case READ_FILES:
		return files_read(&work->inside, work->data, result);
	case WRITE_FILES:
		return files_write(&work->inside, work->data, &work->limits, result);
	case SEAL:
		return volume_seal(work->directory, &work->volume, result);
	case COPY:
		return volume_copy(work->directory, &work->volume, result);
	case LIST_VOLUME:
		return volume_list(work->directory, &work->volume, work->data, result);
	case READ_PART:
		return volume_read_part(work->directory, &work->volume, work->data, result);
	case READ_VOLUME:
		return volume_read(work->directory, &work->volume, work->data, &work->ids, result);
	case WRITE_VOLUME:
		return volume_write(work->directory, &work->volume, work->data, &work->ids, &work->limits,
		                    result);
	default:
		return processes_write(work, result);
	}
}

/* Ends with the engine, also when that is killed. */
static void tie_child(const struct engine *engine)
{
	struct pollfd alive = { engine->self_pidfd, POLLIN, 0 };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || poll(&alive, 1, 0) != 0)
		_exit(1);
}

static _Noreturn void job_child(const struct engine *engine, const struct work *work, int report)
{
	static const struct rlimit no_core = { 0, 0 };
	struct job_result result = { 0 };
	const bool adopts = work->kind == ADOPT;
	int keep[] = { work->data,          work->directory,    report,
		           work->fields,        work->inside.mounts, work->inside.users,
		           adopts ? work->adopt.host_work : -1, adopts ? work->adopt.host_layers : -1 };
	tie_child(engine);
	setrlimit(RLIMIT_CORE, &no_core); /* the rest is the jail's (jail.c) */
	close_all_but(keep, ARRAY_LENGTH(keep));
	int bad = run_work(work, &result);
	if (bad && !*result.step)
		snprintf(result.step, sizeof(result.step), "job");
	if (!bad)
		result.step[0] = '\0';
	write_whole(report, &result, sizeof(result));
	_exit(bad ? 1 : 0);
}

/* Fields that the child wrote, as they are. */
static void add_fields(struct buffer *out, int fd)
{
	char data[16384];
	ssize_t got;
	for (off_t at = 0; fd >= 0 && (got = pread(fd, data, sizeof(data), at)) > 0; at += got)
		buffer_add(out, data, (size_t)got);
}

static void answer_job(struct engine *engine, const struct job *job, const siginfo_t *end)
{
	struct job_result result;
	if (read(job->result, &result, sizeof(result)) != (ssize_t)sizeof(result)) {
		refuse("job", "the job was ended by %s %d", end->si_code == CLD_EXITED ? "status" : "signal",
		       end->si_status);
		reply_fault(engine, job->request, failures[job->kind]);
		return;
	}
	if (*result.step) {
		refuse(result.step, "%s", result.message);
		reply_fault(engine, job->request,
		            strcmp(result.step, STEP_LOOK_UP) ? failures[job->kind] : "not_found");
		return;
	}
	size_t begin = frame_begin(&engine->out, job->request);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "entries", "%llu", result.entries);
	frame_field(&engine->out, "bytes", "%llu", result.bytes);
	if (result.left_out)
		frame_field(&engine->out, "left_out", "%llu", result.left_out);
	if (result.existed)
		frame_field(&engine->out, "existed", "1");
	add_fields(&engine->out, job->fields);
	frame_end(&engine->out, begin);
}

static void job_ended(struct engine *engine, struct source *source)
{
	struct job *job = owner_of(source, struct job, process), **link = &engine->jobs;
	siginfo_t end;
	if (waitid(P_PIDFD, (id_t)source->fd, &end, WEXITED))
		return;
	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	engine->job_count--;
	if (job->request)
		answer_job(engine, job, &end);
	loop_unwatch(engine, source);
	close_fd(&job->result);
	close_fd(&job->fields);
	free(job);
}

int job_start(struct engine *engine, uint32_t request, const struct work *work)
{
	int report[2];
	if (engine->job_count >= MAX_JOBS)
		return refuse("job", "%d jobs run already", MAX_JOBS);
	if (pipe2(report, O_CLOEXEC))
		return fault("job", "pipe");
	struct job *job = need_memory(sizeof(*job));
	*job = (struct job){ .process = { -1, job_ended },
		                 .request = request,
		                 .kind = work->kind,
		                 .fields = -1 };
	pid_t pid = spawn(0, &job->process.fd, -1);
	if (pid == 0) {
		buffer_wipe(&engine->in);
		job_child(engine, work, report[1]);
	}
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		free(job);
		return fault("job", "fork");
	}
	job->result = report[0];
	if (work->fields >= 0)
		job->fields = fcntl(work->fields, F_DUPFD_CLOEXEC, 0);
	job->next = engine->jobs;
	engine->jobs = job;
	engine->job_count++;
	loop_watch(engine, &job->process);
	return 0;
}

void job_refused(struct engine *engine, uint32_t request, enum job_kind kind)
{
	reply_fault(engine, request, failures[kind]);
}
