/* Requests that become jobs on the engine's own directories, and the list of these. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"

const char *need_name(struct engine *engine, const struct message *message, const char *key)
{
	const char *name = message_get(message, key);
	if (name && valid_name(name))
		return name;
	refuse("request", "%s is missing or not a name", key);
	reply_fault(engine, message->id, "bad_request");
	return NULL;
}

/* Connects the data stream and starts; answers when it can not. */
void job_start_with_data(struct engine *engine, const struct message *message,
                         struct work *work)
{
	const char *token = need_name(engine, message, "data");
	if (!token)
		return;
	work->data = connect_stream(engine, token);
	if (work->data < 0 || job_start(engine, message->id, work))
		job_refused(engine, message->id, work->kind);
	close_fd(&work->data);
}

void job_unpack(struct engine *engine, const struct message *message)
{
	struct work work = { .kind = UNPACK,
		                 .fields = -1,
		                 .inside = { .mounts = -1, .users = -1 },
		                 .directory = engine->layers,
		                 .data = -1,
		                 .limits = { MAX_UNPACKED, MAX_ENTRIES },
		                 .ids = ids_for_jobs(&engine->ids) };
	uint64_t bytes = MAX_UNPACKED, entries = MAX_ENTRIES;
	if (!(work.name = need_name(engine, message, "layer")))
		return;
	if (number_parse(message, "max-bytes", &bytes) ||
	    number_parse(message, "max-entries", &entries)) {
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	work.limits = (struct unpack_limits){ bytes, entries };
	job_start_with_data(engine, message, &work);
}

void job_pack(struct engine *engine, const struct message *message)
{
	size_t count;
	struct work work = { .kind = PACK,
		                 .fields = -1,
		                 .inside = { .mounts = -1, .users = -1 },
		                 .directory = engine->work,
		                 .data = -1,
		                 .ids = ids_for_jobs(&engine->ids),
		                 .has_mtime = message_get(message, "mtime") != NULL };
	if (!(work.name = need_name(engine, message, "upper")))
		return;
	if (number_parse(message, "mtime", &work.mtime)) {
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	cleanup_free const char **only = message_all(message, "only", &count);
	work.only = count ? only : NULL;
	job_start_with_data(engine, message, &work);
}

/* Takes the name away at once, so that it is free (or gone) whatever happens to the job. */
static int rename_away(struct engine *engine, int directory, const char *name, char *temporary)
{
	for (;;) {
		snprintf(temporary, NAME_LENGTH, "tmp-remove-%d-%llu", getpid(),
		         (unsigned long long)engine->temporary++);
		if (!faccessat(directory, temporary, F_OK, AT_SYMLINK_NOFOLLOW))
			continue; /* left over by an engine that had our pid */
		return renameat(directory, name, directory, temporary);
	}
}

void job_remove(struct engine *engine, const struct message *message)
{
	char temporary[NAME_LENGTH + 1];
	const char *key = message_get(message, "layer")    ? "layer"
	                  : message_get(message, "volume") ? "volume"
	                                                   : "work";
	struct work work = { .kind = REMOVE,
		                 .fields = -1,
		                 .inside = { .mounts = -1, .users = -1 },
		                 .directory = *key == 'l'   ? engine->layers
		                              : *key == 'v' ? engine->volumes
		                                            : engine->work,
		                 .data = -1,
		                 .ids = ids_for_jobs(&engine->ids) };
	const char *name = need_name(engine, message, key);
	if (!name)
		return;
	if (rename_away(engine, work.directory, name, temporary)) {
		if (errno == ENOENT) {
			reply_ok(engine, message->id);
			return;
		}
		fault("remove", "%s", name);
		job_refused(engine, message->id, REMOVE);
		return;
	}
	work.name = temporary;
	if (job_start(engine, message->id, &work))
		job_refused(engine, message->id, REMOVE);
}

void job_measure(struct engine *engine, const struct message *message)
{
	const char *key = message_get(message, "volume") ? "volume" : "work";
	struct work work = { .kind = MEASURE,
		                 .directory = *key == 'v' ? engine->volumes : engine->work,
		                 .data = -1,
		                 .fields = -1,
		                 .inside = { .mounts = -1, .users = -1 },
		                 .ids = ids_for_jobs(&engine->ids) };
	if (!(work.name = need_name(engine, message, key)))
		return;
	if (job_start(engine, message->id, &work))
		job_refused(engine, message->id, MEASURE);
}

void job_adopt(struct engine *engine, const struct message *message)
{
	struct work work = { .kind = ADOPT,
		                 .directory = engine->work,
		                 .adopt = { engine->work, engine->host_work, engine->host_layers, NULL, NULL },
		                 .data = -1,
		                 .fields = -1,
		                 .inside = { .mounts = -1, .users = -1 },
		                 .ids = ids_for_jobs(&engine->ids) };
	if (!(work.adopt.upper = need_name(engine, message, "upper")) ||
	    !(work.adopt.layer = need_name(engine, message, "layer")))
		return;
	if (job_start(engine, message->id, &work))
		job_refused(engine, message->id, ADOPT);
}

void job_remove_quietly(struct engine *engine, int directory, const char *name)
{
	const struct work work = { .kind = REMOVE,
		                       .name = name,
		                       .directory = directory,
		                       .data = -1,
		                       .fields = -1,
		                       .inside = { .mounts = -1, .users = -1 } };
	/* What is left is plainly garbage by its name, and goes when the worker starts again. */
	if (job_start(engine, 0, &work))
		fprintf(stderr, "wafer-engine: %s: %s\n", last_fault.step, last_fault.message);
}

static int list_names(struct engine *engine, int directory, const char *key)
{
	const struct dirent *entry;
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	if (!names)
		return fault("list", "%ss", key);
	while ((entry = readdir(names)))
		if (valid_name(entry->d_name))
			frame_field(&engine->out, key, "%s", entry->d_name);
	closedir(names);
	return 0;
}

void job_list(struct engine *engine, const struct message *message)
{
	size_t begin = frame_begin(&engine->out, message->id);
	frame_field(&engine->out, "ok", "1");
	if (list_names(engine, engine->layers, "layer") || list_names(engine, engine->work, "work")) {
		engine->out.length = begin;
		reply_fault(engine, message->id, "list_failed");
		return;
	}
	frame_end(&engine->out, begin);
}
