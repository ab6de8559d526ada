/* /dev: never the image's. One read-only template for all sandboxes, plus own shm and pts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mounts.h"
#include "util.h"

#define STEP "devices"

static const struct {
	const char *name;
	unsigned major, minor;
} devices[] = { { "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
	            { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } /* whose opens it: its own terminal */ };

static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

static int bind_device(int host_dev, int fd, const char *name, dev_t device)
{
	struct stat status;
	cleanup_fd int point = openat(fd, name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0666);
	if (point < 0)
		return fault(STEP, "/dev/%s", name);
	if (bind_tree(host_dev, name, fd, name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC))
		return -1;
	/* What is there now must be the device itself, not what somebody put in its place. */
	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW))
		return fault(STEP, "/dev/%s", name);
	if (!S_ISCHR(status.st_mode) || status.st_rdev != device)
		return refuse(STEP, "/dev/%s of this machine is not the device %u:%u", name, major(device), minor(device));
	return 0;
}

int devices_make_template(int host_dev, int rootfd, const struct ids *ids)
{
	unsigned owner = ids->single ? 0 : LAYER_FIRST;
	const char *options = "mode=0755,size=16k,nr_inodes=32";
	if (mount("dev", "w/dev", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options))
		return fault(STEP, "tmpfs");
	cleanup_fd int fd = openat(rootfd, "w/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fault(STEP, "template");
	for (size_t i = 0; i < ARRAY_LENGTH(devices); i++)
		if (bind_device(host_dev, fd, devices[i].name, makedev(devices[i].major, devices[i].minor)))
			return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(links); i++)
		if (symlinkat(links[i].target, fd, links[i].name) ||
		    fchownat(fd, links[i].name, owner, owner, AT_SYMLINK_NOFOLLOW))
			return fault(STEP, "/dev/%s", links[i].name);
	if (mkdirat(fd, "shm", 0755) || mkdirat(fd, "pts", 0755) ||
	    fchownat(fd, "shm", owner, owner, 0) || fchownat(fd, "pts", owner, owner, 0))
		return fault(STEP, "/dev/shm, /dev/pts");
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)))
		return fault(STEP, "make the template read-only");
	return 0;
}

int devices_mount(int rootfd)
{
	if (bind_tree(AT_FDCWD, PLACE_DEVICES, rootfd, "dev", 0))
		return -1;
	if (mount_new(rootfd, "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
	              "mode=1777,size=64m,nr_inodes=4096"))
		return -1;
	/* The kernel has 3072 for all containers together: one must not take them all. */
	return mount_new(rootfd, "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
	                 "newinstance,ptmxmode=0666,mode=620,max=64");
}
