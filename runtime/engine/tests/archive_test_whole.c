/* A layer as a whole: there already, removed, packed again; and the jail that all of it runs in. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "archive.h"
#include "archive_tests.h"
#include "jail.h"

/*** Idempotence, removal ***/

static void test_existing(void) {
	struct job_result result;
	struct tar tar = {0};

	t_add(&tar, M(.name = "f", .content = "first"));
	t_finish(&tar);
	accepted(&tar, "a layer is unpacked");
	t_add(&tar, M(.name = "f", .content = "second"));
	t_finish(&tar);
	ok(t_unpack(&tar, &result) == 0 && result.existed && text_is("f", "first") && world_intact(),
	   "a layer that exists is left alone");
	ok(tree_remove(layers_fd, "layer", &result) == 0 && result.existed && world_intact(), "a layer is removed");
	ok(tree_remove(layers_fd, "layer", &result) == 0 && !result.existed, "removing it again is fine");
}

static void test_remove(void) {
	struct job_result result;
	int dir = -1, failed = 0;

	mkdirat(work_fd, "w", 0700);
	symlinkat("../../layers/victim", work_fd, "w/link");
	symlinkat("/", work_fd, "w/root");
	mkdirat(work_fd, "w/locked", 0700);
	close(openat(work_fd, "w/locked/f", O_WRONLY | O_CREAT, 0));
	fchmodat(work_fd, "w/locked", 0, 0);
	dir = openat(work_fd, "w", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 3000 && !failed; i++) {
		int next;

		failed = mkdirat(dir, "deep", 0700) != 0;
		next = openat(dir, "deep", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		failed = failed || next < 0;
		close(dir);
		dir = next;
	}
	close(dir);
	ok(!failed && tree_remove(work_fd, "w", &result) == 0 && result.existed && world_intact(),
	   "links, locked directories and 3000 levels are removed, and no link is followed (%s)", result.message);
	symlinkat("../layers/victim", work_fd, "l");
	ok(tree_remove(work_fd, "l", &result) == 0 && result.existed && world_intact(), "a link is removed, not what it names");
	close(openat(work_fd, "file", O_WRONLY | O_CREAT, 0600));
	ok(tree_remove(work_fd, "file", &result) == 0 && faccessat(work_fd, "file", F_OK, 0) != 0, "a plain file is removed");
}

static void test_remove_many(void) {
	struct job_result result;
	int dir, made = 0;

	mkdirat(work_fd, "many", 0700);
	dir = openat(work_fd, "many", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 100000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%d", i);
		made += mknodat(dir, name, S_IFREG | 0600, 0) == 0;
	}
	close(dir);
	ok(made == 100000 && tree_remove(work_fd, "many", &result) == 0 && result.entries == 100000,
	   "100,000 files are removed");
}

/*** Pack ***/

static int put_file(const char *path, const char *text, unsigned mode) {
	int fd = openat(work_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600), good;
	const struct timespec times[2] = {{500, 5}, {500, 5}};

	good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0 &&
	       futimens(fd, times) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

static int make_upper(const char *name) {
	char long_path[400], text[220];
	int fd, good = 1;

	memset(text, 'n', 180);
	text[180] = '\0';
	mkdirat(work_fd, name, 0700);
	fd = openat(work_fd, name, O_RDONLY | O_DIRECTORY);
	mkdirat(fd, "upper", 0755);
	close(fd);
	snprintf(long_path, sizeof(long_path), "%s/upper/", name);
	fd = openat(work_fd, long_path, O_RDONLY | O_DIRECTORY);
	good = good && mkdirat(fd, "z", 0755) == 0 && mkdirat(fd, "a", 0700) == 0 && mkdirat(fd, "a/sub", 0755) == 0;
	snprintf(long_path, sizeof(long_path), "%s/upper/z/%s", name, text);
	good = good && put_file(long_path, "long name", 0644);
	snprintf(long_path, sizeof(long_path), "%s/upper/a/f", name);
	good = good && put_file(long_path, "content", 0640);
	good = good && linkat(fd, "a/f", fd, "z/hard", 0) == 0 && symlinkat("/etc/passwd", fd, "z/sym") == 0;
	good = good && mknodat(fd, "z/gone", S_IFCHR, makedev(0, 0)) == 0 && mknodat(fd, "z/fifo", S_IFIFO | 0600, 0) == 0;
	good = good && (world_map->single || fchownat(fd, "a/f", 34, 2001, 0) == 0);
	close(fd);
	snprintf(long_path, sizeof(long_path), "%s/upper/a/sub", name);
	fd = openat(work_fd, long_path, O_RDONLY | O_DIRECTORY);
	good = good && fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) == 0 && fsetxattr(fd, "user.kept", "k", 1, 0) == 0;
	close(fd);
	return good;
}

static int pack_to(const char *name, const char *const *only, long long clamp, struct tar *tar,
                   struct job_result *result) {
	int data = memfd_create("packed", MFD_CLOEXEC), rc;
	struct stat st;

	rc = archive_pack(work_fd, name, data, only, clamp, world_map, result);
	if (fstat(data, &st) != 0)
		abort();
	tar->size = (size_t)st.st_size;
	tar->data = calloc(1, tar->size + 1);
	if (pread(data, tar->data, tar->size, 0) != (ssize_t)tar->size)
		abort();
	close(data);
	return rc;
}

static int tar_has(const struct tar *tar, const char *path) {
	for (size_t at = 0; at + 512 <= tar->size; at += 512)
		if (memcmp(tar->data + at, path, strlen(path) + 1) == 0 && memcmp(tar->data + at + 257, "ustar", 5) == 0)
			return 1;
	return 0;
}

static void test_pack(void) {
	static const char *const only[] = {"/a/sub/", "z/gone", NULL};
	struct tar first = {0}, second = {0};
	struct job_result result;
	struct stat st = {0};
	char value[16];

	ok(make_upper("u1") && make_upper("u2"), "two uppers with the same content are made");
	ok(pack_to("u1", NULL, 400, &first, &result) == 0 && result.bytes == first.size && result.entries == 9,
	   "an upper is packed (%llu entries) %s", result.entries, result.message);
	pack_to("u2", NULL, 400, &second, &result);
	ok(first.size == second.size && memcmp(first.data, second.data, first.size) == 0,
	   "the same content gives the same bytes");
	ok(tar_has(&first, "z/.wh.gone") && tar_has(&first, "a/sub/.wh..wh..opq") && !tar_has(&first, "z/fifo"),
	   "whiteouts are in OCI form and FIFOs are left out");
	free(second.data);
	second = (struct tar){0};
	accepted(&first, "what was packed can be unpacked");
	fstatat(layers_fd, "layer/a/f", &st, 0);
	ok(text_is("a/f", "content") && st.st_nlink == 2 && st.st_mtime == 400 && (st.st_mode & 07777) == 0640 &&
	       (world_map->single || (st.st_uid == 34 && st.st_gid == 2001)),
	   "content, hard link, time, mode and owner came back");
	ok(is_char_0_0("z/gone") && is_opaque("a/sub") && layer_xattr("a/sub", "user.kept", value, sizeof(value)) &&
	       S_ISLNK(layer_mode("z/sym")),
	   "whiteout, opaque mark, attribute and symlink came back");
	forget_layer();
	ok(pack_to("u1", only, -1, &first, &result) == 0 && tar_has(&first, "a/") && tar_has(&first, "a/sub/") &&
	       !tar_has(&first, "a/f") && tar_has(&first, "z/") && tar_has(&first, "z/.wh.gone") && !tar_has(&first, "z/sym"),
	   "only the asked prefixes and the directories above them are packed");
	free(first.data);
	ok(pack_to("missing", NULL, -1, &first, &result) == -1 && strstr(result.message, "missing"), "a missing upper is an error");
	free(first.data);
	put_file("u1/upper/.wh.evil", "", 0644);
	ok(pack_to("u1", NULL, -1, &first, &result) == -1 && strstr(result.message, "whiteout"),
	   "a file that looks like a whiteout is refused");
	free(first.data);
	tree_remove(work_fd, "u1", &result);
	tree_remove(work_fd, "u2", &result);
	symlinkat("../layers/victim", work_fd, "u3");
	ok(pack_to("u3", NULL, -1, &first, &result) == -1, "an upper behind a link is refused");
	free(first.data);
	unlinkat(work_fd, "u3", 0);
}

/*** The jail itself ***/

static int look_around(int rootfd, void *context, struct job_result *result) {
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {0};
	const unsigned int allowed = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER | 1U << CAP_FSETID;
	struct stat here, up;

	(void)rootfd;
	if (fcntl(*(int *)context, F_GETFD) != -1)
		return job_fail(result, "test", "a descriptor of the engine is open");
	if (access("/secret", F_OK) != 0 || access("/etc/passwd", F_OK) == 0 || access("/proc/self", F_OK) == 0)
		return job_fail(result, "test", "the root is not the directory");
	if (stat("/", &here) != 0 || stat("/../..", &up) != 0 || here.st_ino != up.st_ino)
		return job_fail(result, "test", "there is something above the root");
	if (socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EPERM || fork() != -1 || errno != EPERM)
		return job_fail(result, "test", "sockets or processes are possible: %m");
	if (syscall(SYS_capget, &header, caps) != 0 || caps[0].effective != allowed || caps[0].permitted != allowed ||
	    caps[1].permitted != 0 || caps[0].inheritable != 0)
		return job_fail(result, "test", "capabilities %x", caps[0].permitted);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0)
		return job_fail(result, "test", "privileges can come back");
	if (mount("none", "/", "tmpfs", 0, NULL) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0)
		return job_fail(result, "test", "mounts are possible");
	return 0;
}

static int die(int rootfd, void *context, struct job_result *result) {
	(void)rootfd, (void)context, (void)result;
	raise(SIGKILL);
	return 0;
}

static void test_jail(void) {
	struct job_result result = {0};
	int victim = openat(layers_fd, "victim", O_RDONLY | O_DIRECTORY), extra = dup(layers_fd);

	ok(jail_run(victim, NULL, 0, look_around, &extra, &result) == 0,
	   "the jail has one directory, no sockets, four capabilities, no way back %s", result.message);
	ok(jail_run(victim, NULL, 0, die, NULL, &result) == -1 && strstr(result.message, "signal 9"),
	   "a jailed process that dies is a failure that names the signal");
	close(victim);
	close(extra);
}

void archive_whole_tests(void) {
	test_existing();
	test_remove();
	test_remove_many();
	test_pack();
	test_jail();
}
