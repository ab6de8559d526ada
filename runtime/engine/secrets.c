/*
 * Secrets of a function: one file each on a tmpfs of their own at /run/secrets, which only its
 * sandbox has. They are there whole before its code is, belong to the function's user (0400),
 * and can not be changed. They come in the request and lie on no disk; who handled the
 * request wipes it (message_free).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts.h"
#include "util.h"

#define STEP "secrets"
#define PLACE "run/secrets"
#define TMPFS_SIZE "1m"
#define TMPFS_INODES "128"
#define ATTRIBUTES \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NAME:HEX. The message must not repeat a value. */
static int check(const char *text)
{
	char name[NAME_LENGTH + 1] = "";
	size_t length = strcspn(text, ":"), digits = 0;
	if (length < sizeof(name))
		memcpy(name, text, length);
	if (text[length] != ':' || !valid_name(name))
		return refuse("request", "secret has no name");
	while (digit(text[length + 1 + digits]) >= 0)
		digits++;
	if (text[length + 1 + digits] || digits % 2 || digits > 2 * MAX_SECRET)
		return refuse("request", "secret %s is not at most %d bytes in hexadecimal", name,
		              MAX_SECRET);
	return 0;
}

int secrets_parse(struct secrets *secrets, const struct message *message)
{
	secrets->texts = message_all(message, "secret", &secrets->count);
	if (secrets->count > MAX_SECRETS)
		return refuse("request", "secret is there %zu times, more than %d", secrets->count,
		              MAX_SECRETS);
	for (size_t i = 0; i < secrets->count; i++)
		if (check(secrets->texts[i]))
			return -1;
	return 0;
}

void secrets_free(struct secrets *secrets)
{
	free(secrets->texts);
	secrets->texts = NULL;
}

static int write_hex(int fd, const char *hex)
{
	unsigned char bytes[4096];
	int bad = 0;
	while (*hex && !bad) {
		size_t used = 0;
		for (; *hex && used < sizeof(bytes); hex += 2)
			bytes[used++] = (unsigned char)(digit(hex[0]) << 4 | digit(hex[1]));
		bad = write_whole(fd, bytes, used);
	}
	explicit_bzero(bytes, sizeof(bytes));
	return bad;
}

static int write_file(int directory, const char *text, unsigned owner)
{
	size_t length = strcspn(text, ":");
	cleanup_free char *name = need_format("%.*s", (int)length, text);
	cleanup_fd int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (fd < 0 || write_hex(fd, text + length + 1) || fchmod(fd, 0400) ||
	    fchown(fd, owner, owner))
		return fault(STEP, "%s", name);
	return 0;
}

static int new_tmpfs(void)
{
	cleanup_fd int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", "secrets", 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "mode", "0555", 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "size", TMPFS_SIZE, 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", TMPFS_INODES, 0) ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return fault(STEP, "tmpfs");
	int tree = fsmount(context, FSMOUNT_CLOEXEC, ATTRIBUTES & ~(unsigned)MOUNT_ATTR_RDONLY);
	return tree < 0 ? fault(STEP, "mount of the tmpfs") : tree;
}

int secrets_tree(const struct secrets *secrets, unsigned owner)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int tree = new_tmpfs();
	for (size_t i = 0; tree >= 0 && i < secrets->count; i++)
		if (write_file(tree, secrets->texts[i], owner))
			close_fd(&tree);
	if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr))) {
		fault(STEP, "make the tmpfs read-only");
		close_fd(&tree);
	}
	return tree;
}

int secrets_mount(const struct secrets *secrets, int rootfd)
{
	if (secrets->count == 0)
		return 0;
	int tree = secrets_tree(secrets, FUNCTION_ID);
	return tree < 0 ? -1 : detached_attach(tree, rootfd, PLACE);
}
