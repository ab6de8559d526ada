/* The engine's own root: a tmpfs in which only what it needs is reachable. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mounts.h"
#include "util.h"

#define STEP "engine-root"

static int make_directory(const char *path, mode_t mode, unsigned owner)
{
	/* chmod after mkdir: the mode must not depend on the caller's umask. */
	if ((mkdir(path, mode) && errno != EEXIST) || chmod(path, mode) || chown(path, owner, owner))
		return fault(STEP, "%s", path);
	return 0;
}

static int make_file(const char *path, const char *text, unsigned owner)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write_whole(fd, text, strlen(text)) || fchmod(fd, 0644) ||
	    fchown(fd, owner, owner))
		return fault(STEP, "%s", path);
	return 0;
}

/*
 * The top lower layer of every sandbox. It guarantees that each mount point is
 * a real directory of ours, whatever the image has at that name, also where the
 * root is read-only. Only functions have a place for secrets: what a build sees
 * must not depend on us more than it has to.
 *
 * It lies on the file system of the layers: where all of an overlay is on one file
 * system its files have one device number in stat and in /proc/PID/maps (else xino does
 * it, which a root with a layer of points has: mounts.c), and V8 shares its 2 MB of
 * built-in code between processes only when it finds its own binary by these
 * (OS::RemapPages). Older kernels, 6.1 among them, always show the layer's own device in
 * maps: there nothing is shared. It is the same for all engines of a directory: each
 * holds the lock, shared, and the one that gets it alone when it leaves takes the
 * skeletons away. What killed engines left is taken over. None of these names can be
 * that of a request.
 */
#define SKELETON_LOCK PLACE_WORK "/+lock"
static int skeleton_lock = -1;

#define DIRECTORIES_OF(place)                                                                \
	{ place, 0755 }, { place "/proc", 0555 }, { place "/dev", 0755 }, { place "/tmp", 01777 }, \
		{ place "/etc", 0755 }, { place "/function", 0755 }, { place "/.wafer", 0755 }

static const struct {
	const char *path;
	mode_t mode;
} skeleton_directories[] = {
	DIRECTORIES_OF(PLACE_SKELETON),
	DIRECTORIES_OF(PLACE_FUNCTION_SKELETON),
	{ PLACE_FUNCTION_SKELETON "/run", 0755 },
	{ PLACE_FUNCTION_SKELETON "/run/secrets", 0755 },
};

static const struct {
	const char *path, *text;
} skeleton_files[] = {
	{ PLACE_SKELETON "/etc/hosts", DEFAULT_HOSTS },
	{ PLACE_SKELETON "/etc/resolv.conf", "" },
	{ PLACE_FUNCTION_SKELETON "/etc/hosts", DEFAULT_HOSTS },
	{ PLACE_FUNCTION_SKELETON "/etc/resolv.conf", "" },
};

/* Made last and removed first: with it all is there. */
static const char *skeleton_is_whole(void)
{
	return skeleton_files[ARRAY_LENGTH(skeleton_files) - 1].path;
}

static int make_skeletons(unsigned owner)
{
	for (size_t i = 0; i < ARRAY_LENGTH(skeleton_directories); i++)
		if (make_directory(skeleton_directories[i].path, skeleton_directories[i].mode, owner))
			return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(skeleton_files); i++)
		if (make_file(skeleton_files[i].path, skeleton_files[i].text, owner))
			return -1;
	return 0;
}

static int share_skeletons(unsigned owner)
{
	skeleton_lock = open(SKELETON_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (skeleton_lock < 0)
		return fault(STEP, SKELETON_LOCK);
	do {
		/* Whoever is alone makes them; else they are there, or are being made or taken away just now. */
		if (!flock(skeleton_lock, LOCK_EX | LOCK_NB) && make_skeletons(owner))
			return -1;
		if (flock(skeleton_lock, LOCK_SH))
			return fault(STEP, SKELETON_LOCK);
	} while (access(skeleton_is_whole(), F_OK));
	return 0;
}

void root_leave(void)
{
	if (flock(skeleton_lock, LOCK_EX | LOCK_NB))
		return; /* somebody else has it, or there is none */
	for (size_t i = ARRAY_LENGTH(skeleton_files); i-- > 0;)
		unlink(skeleton_files[i].path);
	for (size_t i = ARRAY_LENGTH(skeleton_directories); i-- > 0;)
		rmdir(skeleton_directories[i].path);
}

/* A directory that only its owner may list, but that a sandbox's root can walk through. */
static int open_store(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0711))
		return fault(STEP, "%s", path);
	close(fd);
	return detached_open(AT_FDCWD, path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

struct trees {
	int layers, work, volumes, run, languages, proc, dev;
};

static int open_trees(struct trees *trees, const struct places *places)
{
	cleanup_free char *socket_path = need_format("%s", places->host_socket);
	trees->layers = open_store(places->layers);
	trees->work = open_store(places->work);
	trees->volumes = open_store(places->volumes);
	trees->run = detached_open(AT_FDCWD, dirname(socket_path), 0);
	trees->languages = detached_open(AT_FDCWD, places->languages,
	                             MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	trees->proc = detached_open(AT_FDCWD, "/proc", 0);
	trees->dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (trees->dev < 0)
		return fault(STEP, "/dev");
	return trees->layers < 0 || trees->work < 0 || trees->volumes < 0 || trees->run < 0 || trees->languages < 0 ||
	       trees->proc < 0;
}

static int attach(int tree, const char *path)
{
	return mkdir(path, 0755) || chmod(path, 0755) ? fault(STEP, "%s", path)
	                                              : detached_attach(tree, AT_FDCWD, path);
}

static int fill(const struct trees *trees, const struct ids *ids)
{
	/* Relative while the host is still `/`. */
	if (mkdir("w", 0755) || chmod("w", 0755) || mkdir("w/scratch", 0755) ||
	    mkdir("w/dev", 0755) || chmod("w/dev", 0755) || symlink("w/proc", "proc"))
		return fault(STEP, "/w");
	if (attach(trees->proc, "w/proc") || attach(trees->layers, "w/layers") ||
	    attach(trees->work, "w/work") || attach(trees->volumes, "w/volumes") || attach(trees->run, "w/run") ||
	    attach(trees->languages, "w/host-languages"))
		return -1;
	return devices_make_template(trees->dev, AT_FDCWD, ids);
}

/* As an overlay of relative names: a bind would show its path on the host in mountinfo. */
static int mount_languages(void)
{
	if (mkdir(PLACE_LANGUAGES, 0755) || chdir("/w") ||
	    mount("languages", PLACE_LANGUAGES, "overlay", MS_NOSUID | MS_NODEV | MS_RDONLY,
	          "userxattr,lowerdir=host-languages:empty"))
		return fault(STEP, "overlay of --languages");
	return chdir("/") ? fault(STEP, "/") : 0;
}

int root_open_host(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fault(STEP, "%s", path) : fd;
}

int root_enter(const struct places *places, const struct ids *ids)
{
	struct trees trees;
	/* No network and no System V objects for the engine itself and its jobs. */
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
		return fault(STEP, "unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fault(STEP, "make mounts private");
	if (open_trees(&trees, places))
		return -1;
	/* Any directory of ours serves as the mount point of the new root. */
	if (mount("wafer", places->work, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m"))
		return fault(STEP, "tmpfs");
	if (chdir(places->work) || fill(&trees, ids))
		return -1;
	close(trees.dev);
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fault(STEP, "pivot_root");
	unsigned owner = ids->single ? 0 : LAYER_FIRST;
	return make_directory(PLACE_EMPTY, 0555, owner) || share_skeletons(owner) || mount_languages() ? -1 : 0;
}
