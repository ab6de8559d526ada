/* One archive member in memory, filled by the reading parts and by the walk of the pack job. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"

void tar_entry_reset(struct tar_entry *entry) {
	for (int i = 0; i < entry->n_xattrs; i++) {
		free(entry->xattrs[i].name);
		free(entry->xattrs[i].value);
	}
	entry->n_xattrs = 0;
	entry->path[0] = entry->link[0] = '\0';
	entry->type = 0;
	entry->mode = 0;
	entry->uid = entry->gid = entry->size = 0;
	entry->mtime = 0;
	entry->mtime_nsec = 0;
}

int tar_entry_add_xattr(struct tar_entry *entry, const char *name, size_t name_size, const void *value, size_t size) {
	struct tar_xattr *xattr = &entry->xattrs[entry->n_xattrs];

	if (entry->n_xattrs >= TAR_XATTRS_MAX) {
		errno = E2BIG;
		return -1;
	}
	xattr->name = strndup(name, name_size);
	xattr->value = malloc(size ? size : 1);
	if (!xattr->name || !xattr->value) {
		free(xattr->name);
		free(xattr->value);
		errno = ENOMEM;
		return -1;
	}
	memcpy(xattr->value, value, size);
	xattr->size = size;
	entry->n_xattrs++;
	return 0;
}

int tar_keeps_xattr(const char *name, size_t size) {
	return size > 5 && memcmp(name, "user.", 5) == 0 && (size < 13 || memcmp(name, "user.overlay.", 13) != 0);
}

long long tar_clamp_time(long long seconds) {
	if (seconds < 0)
		return 0;
	return seconds > TAR_MTIME_MAX ? TAR_MTIME_MAX : seconds;
}
