/*
 * Places for a function's volumes. Which volumes it gets is not known yet when a blank is made,
 * and a Landlock rule only counts for what lies below it; so volumes are mounted below one
 * directory of ours, /.volumes, and the paths where the function looks for them are links into
 * it. All of that is one more lower layer of the sandbox's read-only root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts.h"
#include "util.h"

#define STEP "volume"
#define LAYER "p"

static int make_directories(char *path)
{
	/* From behind the layer's own name. */
	for (char *slash = strchr(path + sizeof(LAYER), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool failed = mkdir(path, 0755) && errno != EEXIST;
		*slash = '/';
		if (failed)
			return -1;
	}
	return 0;
}

static int make_point(const char *point, size_t index)
{
	char place[32], target[32];
	cleanup_free char *path = need_format(LAYER "%s", point);
	snprintf(place, sizeof(place), LAYER "/" POINTS "/%zu", index);
	snprintf(target, sizeof(target), "/" POINTS "/%zu", index);
	if (mkdir(place, 0755) || make_directories(path) || symlink(target, path))
		return fault(STEP, "a place for a volume at %s", point);
	return 0;
}

int points_make(const struct spec *spec)
{
	if (!spec->point_count)
		return 0;
	if (mkdir(LAYER, 0755) || mkdir(LAYER "/" POINTS, 0755))
		return fault(STEP, "places for volumes");
	for (size_t i = 0; i < spec->point_count; i++)
		if (make_point(spec->points[i], i))
			return -1;
	return 0;
}
