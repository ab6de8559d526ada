/* Requests about volumes: directories of --volumes. All but the making of one are jobs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job.h"
#include "mounts.h"

#define MODE 0700

/* For functions to write to. */
static int give_away(const struct engine *engine, int parent, const char *name, mode_t mode)
{
	uid_t owner = ids_volume_owner(&engine->ids);
	if (fchownat(parent, name, owner, owner, AT_SYMLINK_NOFOLLOW) ||
	    fchmodat(parent, name, mode, 0))
		return fault("volume", "%s", name);
	return 0;
}

/* The root of an overlay looks as that of its upper does. */
static mode_t mode_like(const struct engine *engine, const char *name)
{
	struct stat status;
	bool found = name && !fstatat(engine->volumes, name, &status, AT_SYMLINK_NOFOLLOW) &&
	             S_ISDIR(status.st_mode);
	return found ? status.st_mode & 0777 : MODE;
}

static int fill_upper(const struct engine *engine, const char *name, mode_t mode)
{
	cleanup_fd int fd = openat(engine->volumes, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0711) || mkdirat(fd, "work", 0700) || mkdirat(fd, "upper", mode))
		return fault("volume", "%s", name);
	return give_away(engine, fd, "upper", mode);
}

/* One that is there already is a mistake of the caller's, and stays. */
void volume_make(struct engine *engine, const struct message *message)
{
	const char *like = message_get(message, "like");
	const char *name = need_name(engine, message, "volume");
	if (!name)
		return;
	if (like && !valid_name(like)) {
		refuse("request", "like is not a name");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	if (mkdirat(engine->volumes, name, MODE)) {
		fault("volume", "%s", name);
		reply_fault(engine, message->id, "volume_failed");
		return;
	}
	mode_t mode = mode_like(engine, like);
	int bad = message_get(message, "upper") ? fill_upper(engine, name, mode)
	                                        : give_away(engine, engine->volumes, name, mode);
	if (!bad) {
		reply_ok(engine, message->id);
		return;
	}
	reply_fault(engine, message->id, "volume_failed");
	job_remove_quietly(engine, engine->volumes, name);
}

/* Strings belong to the message, but for the names: `text` is the caller's to free after the start. */
static int parse_work(struct volume_work *work, const struct message *message, char **text)
{
	struct view view = { 0 };
	uint64_t offset = 0, length = 0;
	const char *names = message_get(message, "volume");
	work->to = message_get(message, "to");
	work->path = message_get(message, "path");
	work->upper = message_get(message, "upper");
	work->links = message_get(message, "links") != NULL;
	*text = need_format("%s", names ? names : "");
	if (view_parse(&view, *text) || number_parse(message, "offset", &offset) ||
	    number_parse(message, "length", &length))
		return -1;
	if ((work->to && !valid_name(work->to)) || (work->upper && !valid_name(work->upper)))
		return refuse("request", "to, or upper, is not a name");
	if (work->path && (*work->path != '/' || path_climbs(work->path)))
		return refuse("request", "path is not absolute, or has a \"..\": \"%.128s\"", work->path);
	memcpy(work->names, view.names, sizeof(work->names));
	work->count = view.count;
	work->offset = offset;
	work->length = length;
	return 0;
}

/* `needs_to`, or else a path and a stream. */
static void start_volume_job(struct engine *engine, const struct message *message,
                             enum job_kind kind, bool needs_to)
{
	cleanup_free char *text = NULL;
	struct work work = { .kind = kind,
		                 .directory = engine->volumes,
		                 .data = -1,
		                 .fields = -1,
		                 .ids = ids_for_volumes(&engine->ids),
		                 .inside = { .mounts = -1, .users = -1 } };
	uint64_t bytes = MAX_UNPACKED, entries = MAX_ENTRIES;
	int bad = parse_work(&work.volume, message, &text) ||
	          number_parse(message, "max-bytes", &bytes) ||
	          number_parse(message, "max-entries", &entries);
	work.limits = (struct unpack_limits){ bytes, entries };
	if (!bad && !(needs_to ? work.volume.to : work.volume.path))
		bad = refuse("request", "%s is missing", needs_to ? "to" : "path");
	if (bad)
		reply_fault(engine, message->id, "bad_request");
	else if (!needs_to)
		job_start_with_data(engine, message, &work);
	else if (job_start(engine, message->id, &work))
		job_refused(engine, message->id, kind);
}

void job_seal(struct engine *engine, const struct message *message)
{
	start_volume_job(engine, message, SEAL, true);
}

void job_copy(struct engine *engine, const struct message *message)
{
	start_volume_job(engine, message, COPY, true);
}

void job_list_volume(struct engine *engine, const struct message *message)
{
	start_volume_job(engine, message, LIST_VOLUME, false);
}

void job_read_part(struct engine *engine, const struct message *message)
{
	start_volume_job(engine, message, READ_PART, false);
}

void job_read_volume(struct engine *engine, const struct message *message)
{
	start_volume_job(engine, message, READ_VOLUME, false);
}

void job_write_volume(struct engine *engine, const struct message *message)
{
	start_volume_job(engine, message, WRITE_VOLUME, false);
}
