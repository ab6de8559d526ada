/* Hard links of the pack job: under which path each inode was written first. */
#include <stdlib.h>
#include <string.h>

#include "archive.h"

struct seen_link {
	dev_t dev;
	ino_t ino;
	char *path; /* NULL: free slot */
};

/* Open addressing; there is always a free slot, because the table is at most half full. */
static size_t link_slot(const struct seen_link *links, size_t cap, dev_t dev, ino_t ino) {
	size_t slot = ((size_t)ino * 0x9e3779b97f4a7c15ULL ^ (size_t)dev) & (cap - 1);

	while (links[slot].path && (links[slot].dev != dev || links[slot].ino != ino))
		slot = (slot + 1) & (cap - 1);
	return slot;
}

static int links_grow(struct links *links) {
	size_t cap = links->cap ? links->cap * 2 : 256;
	struct seen_link *grown = calloc(cap, sizeof(*grown));

	if (!grown)
		return -1;
	for (size_t i = 0; i < links->cap; i++)
		if (links->slots[i].path)
			grown[link_slot(grown, cap, links->slots[i].dev, links->slots[i].ino)] = links->slots[i];
	free(links->slots);
	links->slots = grown;
	links->cap = cap;
	return 0;
}

int links_first(struct links *links, const struct stat *st, const char *path, const char **first) {
	struct seen_link *seen;

	*first = NULL;
	if (links->used * 2 >= links->cap && links_grow(links) != 0)
		return -1;
	seen = &links->slots[link_slot(links->slots, links->cap, st->st_dev, st->st_ino)];
	if (seen->path) {
		*first = seen->path;
		return 0;
	}
	*seen = (struct seen_link){.dev = st->st_dev, .ino = st->st_ino, .path = strdup(path)};
	links->used++;
	return seen->path ? 0 : -1;
}

void links_free(struct links *links) {
	for (size_t i = 0; i < links->cap; i++)
		free(links->slots[i].path);
	free(links->slots);
	*links = (struct links){0};
}
