/*
 * The sandbox's file system, built in the child after it became root of its own
 * namespaces. Nothing in a layer is trusted: mount points come from the
 * skeleton (root.c), are opened without following links, and mounted by
 * descriptor.
 */
#define _GNU_SOURCE
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

#define STEP "mounts"
#define SAFE (MS_NOSUID | MS_NODEV)
#define DEFAULT_TMP (64ULL << 20)
#define DEFAULT_TMP_INODES 65536ULL

int open_inside(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
		                    .mode = flags & O_CREAT ? 0644 : 0,
		                    .resolve = resolve | RESOLVE_NO_MAGICLINKS };
	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

int detached_open(int dirfd, const char *path, uint64_t attributes)
{
	unsigned empty = *path ? 0 : AT_EMPTY_PATH;
	int tree = open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | empty);
	struct mount_attr attr = { .attr_set = attributes };
	if (tree < 0)
		return fault(STEP, "open_tree %s", path);
	if (attributes && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr))) {
		fault(STEP, "mount_setattr %s", path);
		close(tree);
		return -1;
	}
	return tree;
}

int detached_attach(int tree, int dirfd, const char *path)
{
	cleanup_fd int owned = tree;
	cleanup_fd int target = open_inside(dirfd, path, O_PATH, RESOLVE_NO_SYMLINKS);
	if (target < 0)
		return fault(STEP, "mount point %s", path);
	if (move_mount(owned, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return fault(STEP, "move_mount %s", path);
	return 0;
}

int bind_tree(int dirfd, const char *from, int to_dirfd, const char *to, uint64_t attributes)
{
	int tree = detached_open(dirfd, from, attributes);
	return tree < 0 ? -1 : detached_attach(tree, to_dirfd, to);
}

int mount_new(int rootfd, const char *path, const char *type, unsigned long flags,
              const char *options)
{
	char target[32];
	cleanup_fd int fd = open_inside(rootfd, path, O_PATH | O_DIRECTORY,
	                                RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fault(STEP, "mount point /%s", path);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	if (mount(type, target, type, flags, options))
		return fault(STEP, "%s on /%s", type, path);
	return 0;
}

/*
 * Overlay takes at most a page of options, so every lower gets a short name: a
 * link in the scratch directory, which is the working directory at the mount.
 */
static int link_lower(const char *layer, unsigned index)
{
	char name[16], target[NAME_LENGTH + 32];
	snprintf(name, sizeof(name), "%u", index);
	snprintf(target, sizeof(target), PLACE_LAYERS "/%s", layer);
	return symlink(target, name) ? fault(STEP, "layer %s", layer) : 0;
}

static int mount_overlay(const struct spec *spec, const char *options)
{
	unsigned long flags = SAFE | (spec->upper ? 0 : MS_RDONLY);
	if (mount("wafer", "root", "overlay", flags, options))
		return fault(STEP, "overlay of %zu layers%s%s", spec->layer_count,
		             spec->upper ? " with upper " : "", spec->upper ? spec->upper : "");
	return 0;
}

/* A build or a container with a writable layer. */
static bool is_disk(const struct spec *spec)
{
	return spec->profile != PROFILE_FUNCTION && spec->upper;
}

static int mount_root(const struct spec *spec)
{
	char options[2048];
	size_t lowers = spec->layer_count;
	/* Files of both file systems have one device number then, as root.c tells of the skeleton. */
	const char *first = spec->point_count ? "xino=on,lowerdir=p:s" : "lowerdir=s";
	size_t used = (size_t)snprintf(options, sizeof(options), "userxattr,%s", first);
	/* Where root has an upper the code belongs to the root file system. */
	size_t code = is_disk(spec) ? spec->code_count : 0;
	for (size_t i = 0; i < lowers; i++)
		if (link_lower(spec->layers[i], (unsigned)i))
			return -1;
	for (size_t i = 0; i < code; i++)
		if (link_lower(spec->code_layers[i], (unsigned)(lowers + i)))
			return -1;
	for (size_t i = lowers + code; i-- > 0;)
		used += (size_t)snprintf(options + used, sizeof(options) - used, ":%zu", i);
	const char *skeleton =
		spec->profile == PROFILE_FUNCTION ? PLACE_FUNCTION_SKELETON : PLACE_SKELETON;
	if (symlink(skeleton, "s") || mkdir("root", 0755))
		return fault(STEP, "scratch");
	if (points_make(spec))
		return -1;
	if (spec->upper) {
		char target[NAME_LENGTH + 32];
		snprintf(target, sizeof(target), PLACE_WORK "/%s", spec->upper);
		if (symlink(target, "u"))
			return fault(STEP, "scratch");
		snprintf(options + used, sizeof(options) - used, ",upperdir=u/upper,workdir=u/work");
	}
	return mount_overlay(spec, options);
}

/* Nothing when this kernel has no such file. */
static int cover(int procfd, const char *name, const char *with, uint64_t attributes)
{
	cleanup_fd int point = open_inside(procfd, name, O_PATH, RESOLVE_NO_SYMLINKS);
	if (point < 0)
		return errno == ENOENT ? 0 : fault(STEP, "/proc/%s", name);
	cleanup_fd int tree = detached_open(AT_FDCWD, with, attributes);
	if (tree < 0)
		return -1;
	return move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
	               ? fault(STEP, "cover /proc/%s", name)
	               : 0;
}

/*
 * subset=pid would need no mask, but without /proc/stat and cpuinfo Node's
 * os.cpus() is empty and programs that divide by it break. Most of these files
 * are closed to unmapped ids anyway; this is the second fence.
 */
static int mask_proc(int procfd)
{
	static const char *const directories[] = { "acpi", "bus", "driver", "fs", "irq", "scsi" };
	static const char *const files[] = { "config.gz", "kallsyms",     "kcore",     "keys",
		                                 "key-users", "kmsg",         "kpagecgroup", "kpagecount",
		                                 "kpageflags", "sched_debug", "sysrq-trigger", "timer_list" };
	if (bind_tree(procfd, "sys", procfd, "sys", MOUNT_ATTR_RDONLY | SAFE_ATTRIBUTES))
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(directories); i++)
		if (cover(procfd, directories[i], PLACE_EMPTY, MOUNT_ATTR_RDONLY))
			return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		if (cover(procfd, files[i], PLACE_DEVICES "/null", 0))
			return -1;
	return 0;
}

/* `user` becomes the directory of the user namespace's limits as it was before it got read-only. */
static int mount_proc(int rootfd, int *user)
{
	struct statfs status;
	if (mount_new(rootfd, "proc", "proc", SAFE | MS_NOEXEC, "hidepid=2"))
		return -1;
	cleanup_fd int fd = openat(rootfd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &status))
		return fault(STEP, "/proc");
	if (status.f_type != PROC_SUPER_MAGIC)
		return refuse(STEP, "/proc is not a proc file system");
	*user = openat(fd, "sys/user", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *user < 0 ? fault(STEP, "/proc/sys/user") : mask_proc(fd);
}

static int mount_tmp(const struct spec *spec, int rootfd)
{
	char options[96];
	/* It is part of a disk, unless a tmpfs is asked for. */
	if (is_disk(spec) && !spec->tmp)
		return 0;
	snprintf(options, sizeof(options), "mode=1777,size=%llu,nr_inodes=%llu",
	         (unsigned long long)(spec->tmp ? spec->tmp : DEFAULT_TMP),
	         (unsigned long long)(spec->tmp_inodes ? spec->tmp_inodes : DEFAULT_TMP_INODES));
	return mount_new(rootfd, "tmp", "tmpfs", SAFE, options);
}

int sandbox_take_places(int tree)
{
	/* Until then there is nothing but an empty root (bare.c). */
	return move_mount(tree, "", AT_FDCWD, "/w", MOVE_MOUNT_F_EMPTY_PATH)
	               ? fault(STEP, "the engine's places")
	               : 0;
}

int sandbox_enter_root(void)
{
	cleanup_fd int root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Out of the scratch directory, over the empty root. Look-ups still begin at that. */
	if (root < 0 || move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH))
		return fault("root", "cover the empty root");
	if (umount2("/w", MNT_DETACH))
		return fault("root", "detach the engine's places");
	return chroot(".") || chdir("/") ? fault("root", "chroot") : 0;
}

/* Mounts the layers; gives their root. */
static int open_root(const struct spec *spec)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return fault(STEP, "make mounts private");
	if (mount("scratch", PLACE_SCRATCH, "tmpfs", SAFE, "mode=0755,size=" SCRATCH_SIZE) ||
	    chdir(PLACE_SCRATCH))
		return fault(STEP, "scratch");
	if (mount_root(spec))
		return -1;
	int rootfd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return rootfd < 0 ? fault(STEP, "root") : rootfd;
}

int zygote_mounts(const struct spec *spec)
{
	cleanup_fd int rootfd = open_root(spec);
	if (rootfd < 0 || bind_tree(AT_FDCWD, PLACE_LANGUAGES, rootfd, ".wafer", 0))
		return -1;
	return fchdir(rootfd) ? fault(STEP, "root") : 0;
}

int sandbox_mounts(const struct spec *spec, int commands)
{
	cleanup_fd int rootfd = open_root(spec), user = -1;
	if (rootfd < 0)
		return -1;
	const char *hosts = spec->hosts || !spec->upper ? spec->hosts : DEFAULT_HOSTS;
	const char *resolv = spec->resolv || !spec->upper ? spec->resolv : "";
	if (mount_text(rootfd, "hosts", "etc/hosts", hosts) ||
	    mount_text(rootfd, "resolv", "etc/resolv.conf", resolv) || devices_mount(rootfd) ||
	    mount_proc(rootfd, &user) || mount_tmp(spec, rootfd) ||
	    bind_tree(AT_FDCWD, PLACE_LANGUAGES, rootfd, ".wafer", 0) || (!is_disk(spec) && code_mount(spec, rootfd)) ||
	    secrets_mount(&spec->secrets, rootfd) || volumes_mount(spec, rootfd, commands))
		return -1;
	for (size_t i = 0; i < spec->mount_count; i++)
		if (mount_file(spec, i, rootfd))
			return -1;
	/* Last: a detached mount counts as a namespace. */
	if (rlimits_forbid_namespaces(user))
		return -1;
	return fchdir(rootfd) ? fault(STEP, "root") : 0;
}
