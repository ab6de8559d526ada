/* Landlock: a function writes only where a write makes sense; nobody signals out of the sandbox. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "mounts.h"
#include "util.h"

#define STEP "landlock"

/* Newer than the headers this may be built with. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

#define WRITE_FILE_ACCESS (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define WRITE_TREE_ACCESS                                                                      \
	(WRITE_FILE_ACCESS | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |      \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define HANDLED (WRITE_TREE_ACCESS | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi < 0 ? 0 : (int)abi;
}

static int allow(int ruleset, const char *path, uint64_t access)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
	if (fd < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		return fault(STEP, "%s", path);
	return 0;
}

int landlock_confine(int abi, const struct spec *spec, int what)
{
	struct ruleset_attr attr = { 0 };
	size_t size = abi >= 6 ? sizeof(attr) : abi >= 4 ? 16 : 8;
	/* Without REFER (ABI 2) every rename to another directory would fail: do without then. */
	bool files = abi >= 2 && (what & CONFINE_FILES) && spec->profile == PROFILE_FUNCTION &&
	             !spec->upper;
	uint64_t known = abi >= 3 ? ~0ULL : ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	if (files)
		attr.handled_access_fs = HANDLED & known;
	if (abi >= 6 && (what & CONFINE_SCOPE))
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	if (!attr.handled_access_fs && !attr.scoped)
		return 0;
	cleanup_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return fault(STEP, "ruleset");
	if (files && (allow(ruleset, "/tmp", WRITE_TREE_ACCESS & known) ||
	              allow(ruleset, "/dev", WRITE_FILE_ACCESS & known) ||
	              allow(ruleset, "/dev/shm", WRITE_TREE_ACCESS & known) ||
	              allow(ruleset, "/proc", WRITE_FILE_ACCESS & known)))
		return -1;
	/* Read-only in itself. It is the parent of the places, as it has to be: a rule for a place is not looked at
	 * below what is mounted there. */
	if (files && spec->point_count && allow(ruleset, "/" POINTS, WRITE_TREE_ACCESS & known))
		return -1;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) ? fault(STEP, "restrict") : 0;
}
