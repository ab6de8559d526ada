#define _GNU_SOURCE
#include "idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

#define STEP "user-namespace"
#define MIN_IDS (PRIVATE_FIRST + 64)

struct range {
	unsigned first, count;
};

/* The caller's largest range in /etc/subuid or /etc/subgid; count 0 without one. */
static struct range subordinate_range(const char *path, uid_t uid)
{
	struct range best = { 0, 0 };
	const struct passwd *user = getpwuid(uid);
	char number[16], line[512];
	FILE *file = fopen(path, "re");
	snprintf(number, sizeof(number), "%u", uid);
	while (file && fgets(line, sizeof(line), file)) {
		unsigned first, count;
		char *colon = strchr(line, ':');
		if (!colon || sscanf(colon + 1, "%u:%u", &first, &count) != 2)
			continue;
		*colon = '\0';
		if (strcmp(line, number) && (!user || strcmp(line, user->pw_name)))
			continue;
		if (count > best.count)
			best = (struct range){ first, count };
	}
	if (file)
		fclose(file);
	return best;
}

/* Runs `newuidmap PID 0 OWN 1 1 FIRST COUNT` (or newgidmap) and waits. */
static int run_map_tool(const char *tool, pid_t pid, unsigned own, struct range range)
{
	char text[5][16];
	snprintf(text[0], sizeof(text[0]), "%d", pid);
	snprintf(text[1], sizeof(text[1]), "%u", own);
	snprintf(text[2], sizeof(text[2]), "%u", range.first);
	snprintf(text[3], sizeof(text[3]), "%u", range.count);
	pid_t child = fork();
	if (child == 0) {
		char *arguments[] = { (char *)(uintptr_t)tool, text[0], (char[]){ "0" }, text[1],
			                  (char[]){ "1" }, (char[]){ "1" }, text[2], text[3], NULL };
		char *environment[] = { (char[]){ "PATH=/usr/bin:/bin:/usr/sbin:/sbin" }, NULL };
		setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
		execvpe(tool, arguments, environment);
		_exit(127);
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Waits until the parent has entered the namespace, maps it, reports by status. */
static _Noreturn void mapper(int go, pid_t engine, uid_t uid, gid_t gid, struct range uids,
                             struct range gids)
{
	char byte;
	if (read(go, &byte, 1) != 1)
		_exit(1);
	if (run_map_tool("newgidmap", engine, gid, gids))
		_exit(2);
	_exit(run_map_tool("newuidmap", engine, uid, uids) ? 3 : 0);
}

static int enter_range(struct ids *ids, uid_t uid, gid_t gid, struct range uids, struct range gids)
{
	int go[2], status;
	pid_t engine = getpid();
	if (pipe2(go, O_CLOEXEC))
		return fault(STEP, "pipe");
	pid_t child = fork();
	if (child < 0)
		return fault(STEP, "fork");
	if (child == 0) {
		close(go[1]);
		mapper(go[0], engine, uid, gid, uids, gids);
	}
	close(go[0]);
	if (unshare(CLONE_NEWUSER))
		return fault(STEP, "unshare: this machine does not let an ordinary user make a user "
		                   "namespace");
	int told = write_whole(go[1], "g", 1);
	close(go[1]);
	if (waitpid(child, &status, 0) < 0 || told)
		return fault(STEP, "the id mapper");
	if (status)
		return refuse(STEP, "%s refused the range %u:%u of /etc/%s for uid %u (is the package "
		                    "uidmap installed, and the program setuid?)",
		              WEXITSTATUS(status) == 2 ? "newgidmap" : "newuidmap", uids.first,
		              uids.count, WEXITSTATUS(status) == 2 ? "subgid" : "subuid", uid);
	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return fault(STEP, "become root of the user namespace");
	ids->first = uids.first;
	ids->count = uids.count < gids.count ? uids.count : gids.count;
	ids->slots = ids->count - PRIVATE_FIRST + 1;
	ids->used = need_array(ids->slots, 1);
	/* Another engine of this user has the same range: let the two not begin at one place. */
	if (getrandom(&ids->next, sizeof(ids->next), 0) != (ssize_t)sizeof(ids->next))
		return fault(STEP, "getrandom");
	ids->next %= ids->slots;
	return 0;
}

static int enter_single(struct ids *ids, uid_t uid, gid_t gid)
{
	char text[64];
	ids->single = true;
	ids->first = uid;
	ids->count = 1;
	if (unshare(CLONE_NEWUSER))
		return fault(STEP, "unshare: this machine does not let an ordinary user make a user "
		                   "namespace");
	if (write_at(AT_FDCWD, "/proc/self/setgroups", "deny"))
		return fault(STEP, "/proc/self/setgroups");
	snprintf(text, sizeof(text), "0 %u 1\n", gid);
	if (write_at(AT_FDCWD, "/proc/self/gid_map", text))
		return fault(STEP, "/proc/self/gid_map");
	snprintf(text, sizeof(text), "0 %u 1\n", uid);
	if (write_at(AT_FDCWD, "/proc/self/uid_map", text))
		return fault(STEP, "/proc/self/uid_map");
	return 0;
}

int ids_enter(struct ids *ids)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct range uids = subordinate_range("/etc/subuid", uid);
	struct range gids = subordinate_range("/etc/subgid", uid);
	ids->own_uid = uid;
	if (uids.count >= MIN_IDS && gids.count >= MIN_IDS)
		return enter_range(ids, uid, gid, uids, gids);
	snprintf(ids->detail, sizeof(ids->detail),
	         "uid %u has %u subordinate uids and %u gids; %d are needed", uid, uids.count,
	         gids.count, MIN_IDS);
	return enter_single(ids, uid, gid);
}

unsigned ids_take(struct ids *ids)
{
	/* Round robin: an id rests as long as it can before it is used again. */
	for (unsigned tried = 0; tried < ids->slots; tried++) {
		unsigned slot = (ids->next + tried) % ids->slots;
		if (ids->used[slot])
			continue;
		ids->used[slot] = 1;
		ids->taken++;
		ids->next = slot + 1;
		return PRIVATE_FIRST + slot;
	}
	return 0;
}

void ids_release(struct ids *ids, unsigned id)
{
	if (id < PRIVATE_FIRST || !ids->used[id - PRIVATE_FIRST])
		return;
	ids->used[id - PRIVATE_FIRST] = 0;
	ids->taken--;
}

unsigned ids_host(const struct ids *ids, unsigned inside)
{
	return ids->single ? ids->own_uid : ids->first + inside - 1;
}

unsigned ids_inside(const struct ids *ids, enum profile profile, unsigned private_id, unsigned id)
{
	if (profile == PROFILE_FUNCTION && (ids->single || id == private_id))
		return FUNCTION_ID;
	if (ids->single)
		return 0;
	return id >= LAYER_FIRST && id < LAYER_FIRST + LAYER_COUNT ? id - LAYER_FIRST : NOBODY_INSIDE;
}

struct idmap ids_for_jobs(const struct ids *ids)
{
	if (ids->single)
		return (struct idmap){ .layer_count = 1, .single = 1 };
	return (struct idmap){ .layer_first = LAYER_FIRST, .layer_count = LAYER_COUNT, .nobody = NOBODY_ID };
}

unsigned ids_volume_owner(const struct ids *ids)
{
	return ids->single ? 0 : VOLUME_ID;
}

struct idmap ids_for_volumes(const struct ids *ids)
{
	return (struct idmap){ .only = 1, .only_inside = ids_volume_owner(ids), .only_outside = FUNCTION_ID };
}

int ids_map_sandbox(const struct ids *ids, int procfd, pid_t pid, enum profile profile,
                    unsigned private_id)
{
	char map[128], path[48];
	if (ids->single)
		snprintf(map, sizeof(map), "%d 0 1\n", profile == PROFILE_FUNCTION ? FUNCTION_ID : 0);
	else if (profile == PROFILE_FUNCTION)
		snprintf(map, sizeof(map), "0 %d 1\n%d %u 1\n", LAYER_FIRST, FUNCTION_ID, private_id);
	else
		snprintf(map, sizeof(map), "0 %d %d\n%d %d 1\n", LAYER_FIRST, LAYER_COUNT, NOBODY_INSIDE,
		         NOBODY_ID);
	snprintf(path, sizeof(path), "%d/uid_map", pid);
	if (write_at(procfd, path, map))
		return fault("id-map", "uid_map");
	snprintf(path, sizeof(path), "%d/gid_map", pid);
	if (write_at(procfd, path, map))
		return fault("id-map", "gid_map");
	return 0;
}
