/* Names of archive members, and the two directions of the id map. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"

enum { CONTAINER_NOBODY = 65534 };

static int append_component(char *out, size_t *used, const char *from, size_t size, const char **why) {
	if (size > TAR_NAME_MAX) {
		*why = "a name longer than 255 bytes";
		return -1;
	}
	if (*used + 1 + size > TAR_PATH_MAX) {
		*why = "a path longer than 4095 bytes";
		return -1;
	}
	if (*used > 0)
		out[(*used)++] = '/';
	memcpy(out + *used, from, size);
	*used += size;
	return 0;
}

int path_normalise(const char *raw, char out[TAR_PATH_MAX + 1], const char **why) {
	size_t used = 0;
	int depth = 0;

	while (*raw) {
		size_t size = strcspn(raw, "/");

		if (size == 2 && memcmp(raw, "..", 2) == 0) {
			*why = "a \"..\" in the path";
			return -1;
		}
		if (size > 0 && !(size == 1 && raw[0] == '.')) {
			if (++depth > TAR_DEPTH_MAX) {
				*why = "more than 256 levels of directories";
				return -1;
			}
			if (append_component(out, &used, raw, size, why) != 0)
				return -1;
		}
		raw += size;
		while (*raw == '/')
			raw++;
	}
	out[used] = '\0';
	return 0;
}

const char *path_quote(const char *raw, char out[TAR_QUOTED]) {
	size_t used = 0;

	for (; *raw && used < TAR_QUOTED - 9; raw++) {
		unsigned char c = (unsigned char)*raw;

		if (c >= 0x20 && c < 0x7f)
			out[used++] = (char)c;
		else
			used += (size_t)snprintf(out + used, TAR_QUOTED - used, "\\x%02x", c);
	}
	snprintf(out + used, TAR_QUOTED - used, "%s", *raw ? "..." : "");
	return out;
}

unsigned int id_inside(const struct idmap *map, unsigned long long container_id) {
	if (map->only)
		return map->only_inside;
	if (map->single)
		return 0;
	if (container_id != CONTAINER_NOBODY && container_id < map->layer_count)
		return map->layer_first + (unsigned int)container_id;
	return map->nobody;
}

unsigned int id_outside(const struct idmap *map, unsigned int engine_id) {
	if (map->only)
		return map->only_outside;
	if (map->single)
		return 0;
	if (engine_id != map->nobody && engine_id >= map->layer_first && engine_id - map->layer_first < map->layer_count)
		return engine_id - map->layer_first;
	return CONTAINER_NOBODY;
}
