/*
 * The code of a function: the `function` directories of its layers, bottom first, as one
 * read-only overlay. Always an overlay: a bind would show the layer's path on the host in
 * mountinfo. A sandbox gets it while its root is built (code_mount), or later as a tree
 * that the engine made (code_tree, sandbox_attach.c).
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

#define STEP "mounts"

struct lowers {
	int fds[MAX_LAYERS];
	size_t count;
	char text[4096]; /* overlay's `lowerdir` */
};

/* A code layer's `function` directory; the layer is hostile, so no link is followed. */
static int open_code(int layers, const char *layer)
{
	char path[NAME_LENGTH + 16];
	snprintf(path, sizeof(path), "%s/function", layer);
	int fd = open_inside(layers, path, O_PATH | O_DIRECTORY,
	                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	return fd < 0 ? fault(STEP, "code layer %s has no directory `function`", layer) : fd;
}

static void close_lowers(struct lowers *lowers)
{
	while (lowers->count)
		close(lowers->fds[--lowers->count]);
}

/* The text names the descriptors, which stay open until the mount is made. */
static int open_lowers(struct lowers *lowers, const char *const *names, size_t count)
{
	size_t used = 0;
	cleanup_fd int layers = open(PLACE_LAYERS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	lowers->count = 0;
	if (layers < 0)
		return fault(STEP, "layers");
	for (size_t i = count; i-- > 0;) {
		int fd = open_code(layers, names[i]);
		if (fd < 0) {
			close_lowers(lowers);
			return -1;
		}
		lowers->fds[lowers->count++] = fd;
		used += (size_t)snprintf(lowers->text + used, sizeof(lowers->text) - used,
		                         "/proc/self/fd/%d:", fd);
	}
	snprintf(lowers->text + used, sizeof(lowers->text) - used, PLACE_EMPTY);
	return 0;
}

int code_mount(const struct spec *spec, int rootfd)
{
	char options[sizeof(((struct lowers *)NULL)->text) + 32];
	struct lowers lowers;
	if (spec->code_count == 0)
		return 0;
	if (open_lowers(&lowers, spec->code_layers, spec->code_count))
		return -1;
	snprintf(options, sizeof(options), "userxattr,lowerdir=%s", lowers.text);
	int bad = mount_new(rootfd, "function", "overlay", MS_NOSUID | MS_NODEV | MS_RDONLY, options);
	close_lowers(&lowers);
	return bad;
}

static int overlay_tree(const char *lowerdir)
{
	cleanup_fd int context = fsopen("overlay", FSOPEN_CLOEXEC);
	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", "overlay", 0) ||
	    fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) ||
	    fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", lowerdir, 0) ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fault(STEP, "overlay of the code");
	int tree = fsmount(context, FSMOUNT_CLOEXEC,
	                   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return tree < 0 ? fault(STEP, "mount of the code") : tree;
}

int code_tree(const char *const *names, size_t count)
{
	struct lowers lowers;
	if (open_lowers(&lowers, names, count))
		return -1;
	int tree = overlay_tree(lowers.text);
	close_lowers(&lowers);
	return tree;
}
