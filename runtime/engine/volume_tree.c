/*
 * What a volume shows: one directory of --volumes, or several as an overlay. Those below are
 * never written to. Names are relative to --volumes, so that no path of the host shows in
 * mountinfo, and that many fit into the 255 characters that fsconfig takes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mounts.h"
#include "util.h"

#define STEP "volume"
#define OPTION_LENGTH 256 /* the kernel's, with the NUL */

int view_parse(struct view *view, char *text)
{
	char *rest = NULL;
	view->count = 0;
	for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		if (view->count == MAX_VIEW || !valid_name(name))
			return refuse(STEP, "not 1 to %d names of volumes", MAX_VIEW);
		view->names[view->count++] = name;
	}
	return view->count ? 0 : refuse(STEP, "no volume is named");
}

static int check_directory(int volumes, const char *name)
{
	cleanup_fd int fd = open_inside(volumes, name, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	return fd < 0 ? fault(STEP, "%s", name) : 0;
}

/* Overlay wants the top one first. */
static int lower_option(const struct view *view, char *option)
{
	size_t used = 0;
	for (size_t i = view->count; i-- > 0 && used < OPTION_LENGTH;)
		used += (size_t)snprintf(option + used, OPTION_LENGTH - used, "%s%s", view->names[i],
		                         i ? ":" : "");
	return used < OPTION_LENGTH ? 0 : refuse(STEP, "the names of %zu layers are too long", view->count);
}

static int set(int context, const char *key, const char *value)
{
	return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) ? fault(STEP, "%s=%s", key, value)
	                                                            : 0;
}

static int set_upper(int context, const char *upper)
{
	char path[NAME_LENGTH + 16];
	snprintf(path, sizeof(path), "%s/upper", upper);
	if (set(context, "upperdir", path))
		return -1;
	snprintf(path, sizeof(path), "%s/work", upper);
	if (set(context, "workdir", path))
		return -1;
	/* What is written here counts once it is committed, and is synced then; what is not may be lost. */
	return fsconfig(context, FSCONFIG_SET_FLAG, "volatile", NULL, 0) ? fault(STEP, "volatile") : 0;
}

static int overlay_here(const struct view *view)
{
	char option[OPTION_LENGTH];
	if (lower_option(view, option))
		return -1;
	cleanup_fd int context = fsopen("overlay", FSOPEN_CLOEXEC);
	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", "volume", 0) ||
	    fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0))
		return fault(STEP, "overlay");
	if (set(context, "lowerdir", option) || (view->upper && set_upper(context, view->upper)))
		return -1;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fault(STEP, "overlay of %zu layers", view->count);
	int tree = fsmount(context, FSMOUNT_CLOEXEC,
	                   SAFE_ATTRIBUTES | (view->read_only ? MOUNT_ATTR_RDONLY : 0));
	return tree < 0 ? fault(STEP, "mount of %zu layers", view->count) : tree;
}

int volume_tree(int volumes, const struct view *view)
{
	for (size_t i = 0; i < view->count; i++)
		if (check_directory(volumes, view->names[i]))
			return -1;
	if (view->upper && check_directory(volumes, view->upper))
		return -1;
	if (view->count == 1 && !view->upper)
		return detached_open(volumes, view->names[0],
		                     SAFE_ATTRIBUTES | (view->read_only ? MOUNT_ATTR_RDONLY : 0));
	if (fchdir(volumes))
		return fault(STEP, "volumes");
	int tree = overlay_here(view);
	if (chdir("/")) {
		close_fd(&tree);
		return fault(STEP, "/");
	}
	return tree;
}
