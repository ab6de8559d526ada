/* Mounting by descriptor: the new mount API in few words, and what uses it. */
#ifndef WAFER_MOUNTS_H
#define WAFER_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "idmap.h"
#include "request.h"

/* Places in the engine's own root (root.c makes them). */
#define PLACE_LAYERS "/w/layers"
#define PLACE_WORK "/w/work"
#define PLACE_VOLUMES "/w/volumes"
#define PLACE_RUN "/w/run"
#define PLACE_LANGUAGES "/w/languages"
#define PLACE_SKELETON PLACE_WORK "/+skeleton" /* no valid_name */
#define PLACE_FUNCTION_SKELETON PLACE_WORK "/+function-skeleton"
#define PLACE_DEVICES "/w/dev"
#define PLACE_EMPTY "/w/empty"
#define PLACE_SCRATCH "/w/scratch"

#define SCRATCH_SIZE "16m"
#define SAFE_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

#define DEFAULT_HOSTS "127.0.0.1 localhost\n::1 localhost\n"

/* A detached copy of the mount at `path` (all of its tree), with `attributes` (MOUNT_ATTR_*) added. */
int detached_open(int dirfd, const char *path, uint64_t attributes);
/* Attaches a detached tree at `path`, which must be no symbolic link, and closes it. */
int detached_attach(int tree, int dirfd, const char *path);
/* A new file system on a directory of the root `rootfd`, no link followed. */
int mount_new(int rootfd, const char *path, const char *type, unsigned long flags,
              const char *options);
/* Bind in one go. */
int bind_tree(int dirfd, const char *from, int to_dirfd, const char *to, uint64_t attributes);

/* devices.c: the template of /dev, made once in the engine, and what each sandbox adds. */
int devices_make_template(int host_dev, int rootfd, const struct ids *ids);
int devices_mount(int rootfd);

/* root.c */
struct places {
	const char *layers, *work, *volumes, *host_socket, *languages;
};
int root_enter(const struct places *places, const struct ids *ids);
/* Takes away what lies on disk, unless another engine has it. Sandboxes that die with this one no longer need it. */
void root_leave(void);
/* Before that: a directory as the host has it. It stays open only in the engine itself. */
int root_open_host(const char *path);

/*
 * mounts.c: takes the engine's /w, builds the sandbox's root and makes it the working
 * directory; then makes that `/`, and nothing else is left.
 */
int sandbox_take_places(int tree);
int sandbox_mounts(const struct spec *spec, int commands);
/* Only the layers, read-only, and the languages, as the working directory: for a zygote. */
int zygote_mounts(const struct spec *spec);
int sandbox_enter_root(void);

/* mount_files.c: `text` (NULL: nothing) at `path`, by the name `name` in the scratch directory. */
int mount_text(int rootfd, const char *name, const char *path, const char *text);
/* The spec's file `index`, read-only. */
int mount_file(const struct spec *spec, size_t index, int rootfd);
/* Makes the directories above the absolute `path` and opens the last of them, inside the root. */
int make_parents(int rootfd, const char *path);

/* A look-up by openat2; `resolve` are RESOLVE_* flags, and magic links are never followed. */
int open_inside(int dirfd, const char *path, uint64_t flags, uint64_t resolve);

/* code.c: mounts spec's code layers at /function of the root ... */
int code_mount(const struct spec *spec, int rootfd);
/* ... or gives them as a detached tree; fsconfig takes 255 characters, so not more layers than these. */
#define MAX_ATTACHED_LAYERS 8
int code_tree(const char *const *layers, size_t count);

/*
 * points.c: `p` in the working directory: a layer with /.volumes/0, 1, ... and a link to each
 * where the function looks for it; nothing without points.
 */
int points_make(const struct spec *spec);
#define POINTS ".volumes"

/*
 * volume_tree.c: directories of --volumes, bottom first, as one detached tree. More than one, or
 * an `upper` (its directories `upper` and `work`), are an overlay. Enters `volumes` for a moment.
 */
#define MAX_VIEW 16
struct view {
	const char *names[MAX_VIEW], *upper;
	size_t count;
	bool read_only;
};
int volume_tree(int volumes, const struct view *view);
/* NAME[,NAME...], which is changed; -1 and a fault when it is none. */
int view_parse(struct view *view, char *text);

/* secrets.c: mounts them at /run/secrets of the root, where there are any ... */
int secrets_mount(const struct secrets *secrets, int rootfd);
/* ... or gives them as a detached tree. `owner` as it is called here. */
int secrets_tree(const struct secrets *secrets, unsigned owner);

/* volumes.c: fills the new ones, has them published over `commands`, mounts all of them. */
int volumes_mount(const struct spec *spec, int rootfd, int commands);

#endif
