/*
 * Volumes that do not exist yet. The engine makes their directories under temporary
 * names; the child fills them from the image (volumes.c) and waits; then they get their
 * names, at once and only where nobody else was quicker, and the child mounts them by these.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"

struct fresh {
	struct fresh *next;
	char temporary[64], name[NAME_LENGTH + 1];
};

static struct fresh *find_fresh(const struct sandbox *sandbox, const char *name)
{
	struct fresh *fresh = sandbox->fresh;
	while (fresh && strcmp(fresh->name, name))
		fresh = fresh->next;
	return fresh;
}

static int make_fresh(struct engine *engine, struct sandbox *sandbox, struct volume_mount *volume)
{
	uid_t owner = engine->ids.single ? 0 : LAYER_FIRST;
	struct fresh *fresh = need_memory(sizeof(*fresh));
	snprintf(fresh->name, sizeof(fresh->name), "%s", volume->name);
	snprintf(fresh->temporary, sizeof(fresh->temporary), "tmp-volume-%d-%llu", getpid(),
	         (unsigned long long)engine->temporary++);
	fresh->next = sandbox->fresh;
	sandbox->fresh = fresh;
	snprintf(volume->temporary, sizeof(volume->temporary), "%s", fresh->temporary);
	if (mkdirat(engine->volumes, fresh->temporary, 0755) ||
	    fchownat(engine->volumes, fresh->temporary, owner, owner, AT_SYMLINK_NOFOLLOW))
		return fault("volume", "%s", volume->name);
	return 0;
}

int volumes_prepare(struct engine *engine, struct sandbox *sandbox, struct spec *spec)
{
	struct stat status;
	for (size_t i = 0; i < spec->volume_count; i++) {
		struct volume_mount *volume = &spec->volumes[i];
		if (!fstatat(engine->volumes, volume->name, &status, AT_SYMLINK_NOFOLLOW)) {
			if (!S_ISDIR(status.st_mode))
				return refuse("volume", "%s is not a directory", volume->name);
		} else if (errno != ENOENT) {
			return fault("volume", "%s", volume->name);
		} else if (!find_fresh(sandbox, volume->name) && make_fresh(engine, sandbox, volume)) {
			return -1;
		}
	}
	return 0;
}

void volumes_publish(struct engine *engine, struct sandbox *sandbox)
{
	const struct command go = { .type = COMMAND_GO };
	for (struct fresh *fresh = sandbox->fresh; fresh; fresh = fresh->next) {
		if (!renameat2(engine->volumes, fresh->temporary, engine->volumes, fresh->name,
		               RENAME_NOREPLACE)) {
			fresh->temporary[0] = '\0';
		} else if (errno == EEXIST) {
			job_remove_quietly(engine, engine->volumes, fresh->temporary);
			fresh->temporary[0] = '\0';
		} else {
			fault("volume", "%s", fresh->name);
			sandbox->fault = last_fault;
			sandbox_kill(engine, sandbox);
			return;
		}
	}
	if (send_with_fds(sandbox->commands.fd, &go, sizeof(go), NULL, 0))
		sandbox_kill(engine, sandbox);
}

void volumes_free(struct engine *engine, struct sandbox *sandbox)
{
	while (sandbox->fresh) {
		struct fresh *fresh = sandbox->fresh;
		sandbox->fresh = fresh->next;
		if (*fresh->temporary)
			job_remove_quietly(engine, engine->volumes, fresh->temporary);
		free(fresh);
	}
}
