/* What the archive tests ask of a layer on disk. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "archive.h"
#include "archive_tests.h"
#include "jail.h"

void one_refused(struct member member, const char *text, const char *title) {
	struct tar tar = {0};

	t_add(&tar, member);
	t_finish(&tar);
	refused(&tar, text, title);
}

int is_char_0_0(const char *path) {
	char full[300];
	struct stat st;

	snprintf(full, sizeof(full), "layer/%s", path);
	return fstatat(layers_fd, full, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

int layer_xattr(const char *path, const char *name, char *value, size_t size) {
	char full[300];
	ssize_t got;
	int fd;

	snprintf(full, sizeof(full), "layer/%s", path);
	fd = openat(layers_fd, full, O_RDONLY | O_NOFOLLOW);
	got = fd >= 0 ? fgetxattr(fd, name, value, size - 1) : -1;
	if (fd >= 0)
		close(fd);
	value[got > 0 ? got : 0] = '\0';
	return got >= 0;
}

int is_opaque(const char *path) {
	char value[8];

	return layer_xattr(path, "user.overlay.opaque", value, sizeof(value)) && strcmp(value, "y") == 0;
}

int text_is(const char *path, const char *want) {
	const char *text = read_layer_file(path);

	return text && strcmp(text, want) == 0;
}
