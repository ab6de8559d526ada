/*
 * Mount: volumes of a function that runs, each at one of the places that it was made with
 * (points.c), or another one instead of what is there. As with code (sandbox_attach.c) the tree
 * is made in the engine's own namespaces and carried over by descriptor; all trees are there
 * before the first is moved. What a program has open of the one before stays open.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mounts.h"
#include "sandbox.h"

#define STEP "mount"

struct shown {
	unsigned place;
	char text[MAX_VIEW * (NAME_LENGTH + 1) + 1];
	struct view view;
	int tree;
};

struct shows {
	struct shown *all;
	size_t count;
};

/* PLACE:ro|rw|tx=UPPER:NAME[,NAME...] */
static int parse_one(struct shown *shown, const char *text, unsigned places)
{
	char *names, *mode;
	snprintf(shown->text, sizeof(shown->text), "%s", text);
	mode = strchr(shown->text, ':');
	names = mode ? strchr(mode + 1, ':') : NULL;
	if (!names || strlen(text) >= sizeof(shown->text))
		return refuse("request", "volume is not place:mode:name: \"%.128s\"", text);
	*mode++ = *names++ = '\0';
	shown->place = (unsigned)(*shown->text - '0');
	if (strlen(shown->text) != 1 || shown->place >= places)
		return refuse("request", "volume is for place \"%.16s\", of %u", shown->text, places);
	shown->view.read_only = !strcmp(mode, "ro");
	if (!strncmp(mode, "tx=", 3) && valid_name(mode + 3))
		shown->view.upper = mode + 3;
	else if (!shown->view.read_only && strcmp(mode, "rw"))
		return refuse("request", "volume has no mode ro, rw or tx=UPPER: \"%.128s\"", text);
	if (view_parse(&shown->view, names))
		return -1;
	if (shown->view.count > 1 && !shown->view.read_only && !shown->view.upper)
		return refuse("request", "several layers can not be written to without an upper");
	return 0;
}

static int parse(struct shows *shows, const struct message *message, unsigned places)
{
	cleanup_free const char **texts = message_all(message, "volume", &shows->count);
	if (shows->count < 1 || shows->count > MAX_POINTS) {
		size_t count = shows->count;
		shows->count = 0;
		return refuse("request", "volume is there %zu times, not 1 to %d times", count, MAX_POINTS);
	}
	shows->all = need_array(shows->count, sizeof(*shows->all));
	for (size_t i = 0; i < shows->count; i++)
		shows->all[i].tree = -1;
	for (size_t i = 0; i < shows->count; i++)
		if (parse_one(&shows->all[i], texts[i], places))
			return -1;
	return 0;
}

/* In the sandbox's mounts, with /.volumes as the working directory: nothing of the guest's is looked up. */
static int show_here(struct sandbox *sandbox, const struct shown *shown)
{
	char name[2] = { (char)('0' + shown->place), '\0' };
	unsigned bit = 1U << shown->place;
	if (sandbox->shown & bit) {
		if (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW))
			return fault(STEP, "take away what is at place %u", shown->place);
		sandbox->shown &= ~bit;
	}
	if (move_mount(shown->tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH))
		return fault(STEP, "%s at place %u", shown->view.names[0], shown->place);
	sandbox->shown |= bit;
	return 0;
}

static int show(struct engine *engine, struct sandbox *sandbox, const struct shows *shows)
{
	int bad = 0;
	if (setns(sandbox->volume_mounts, CLONE_NEWNS))
		return fault(STEP, "the mounts of sandbox %s", sandbox->id);
	if (fchdir(sandbox->points))
		bad = fault(STEP, "the places of sandbox %s", sandbox->id);
	for (size_t i = 0; !bad && i < shows->count; i++)
		bad = show_here(sandbox, &shows->all[i]);
	/* Which also gives the engine its own working directory back. */
	mounts_return(engine);
	return bad;
}

static const char *mount_all(struct engine *engine, struct sandbox *sandbox, struct shows *shows)
{
	for (size_t i = 0; i < shows->count; i++) {
		struct shown *shown = &shows->all[i];
		shown->tree = volume_tree(engine->volumes, &shown->view);
		if (shown->tree < 0)
			return "mount_failed";
	}
	return show(engine, sandbox, shows) ? "mount_failed" : NULL;
}

void sandbox_mount(struct engine *engine, const struct message *message)
{
	struct shows shows = { 0 };
	const char *code = NULL;
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	if (sandbox->points < 0) {
		refuse("request", "sandbox %s was made without places for volumes", sandbox->id);
		code = "bad_request";
	} else if (parse(&shows, message, sandbox->point_count)) {
		code = "bad_request";
	} else {
		code = mount_all(engine, sandbox, &shows);
	}
	if (code)
		reply_fault(engine, message->id, code);
	else
		reply_ok(engine, message->id);
	for (size_t i = 0; i < shows.count; i++)
		close_fd(&shows.all[i].tree);
	free(shows.all);
}
