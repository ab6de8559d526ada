/*
 * Tests of unpack, pack and removal: the hostile archives (paths, links, devices,
 * sizes, headers, whiteouts), what a good archive looks like on disk, and a round
 * trip. TAP on stdout. Every refusal also checks that nothing is left and that
 * nothing outside of the layer changed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive.h"
#include "archive_tests.h"
#include "jail.h"

#define M(...) ((struct member){__VA_ARGS__})

static void one_refused(struct member member, const char *text, const char *title) {
	struct tar tar = {0};

	t_add(&tar, member);
	t_finish(&tar);
	refused(&tar, text, title);
}

static int is_char_0_0(const char *path) {
	char full[300];
	struct stat st;

	snprintf(full, sizeof(full), "layer/%s", path);
	return fstatat(layers_fd, full, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

static int layer_xattr(const char *path, const char *name, char *value, size_t size) {
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

static int is_opaque(const char *path) {
	char value[8];

	return layer_xattr(path, "user.overlay.opaque", value, sizeof(value)) && strcmp(value, "y") == 0;
}

static int text_is(const char *path, const char *want) {
	const char *text = read_layer_file(path);

	return text && strcmp(text, want) == 0;
}

/*** I1: names ***/

static void test_names(void) {
	char deep[2 * 400 + 1] = "", longest[5001], component[300];
	struct tar tar = {0};

	one_refused(M(.name = "../../x", .content = "x"), "..", "a path that climbs is refused");
	one_refused(M(.name = "a/../../x", .content = "x"), "..", "a path that climbs in the middle is refused");
	one_refused(M(.name = "a/..", .type = '5'), "..", "a path that ends in .. is refused");
	one_refused(M(.name = "/..", .type = '5'), "..", "an absolute .. is refused");
	one_refused(M(.name = "", .content = "x"), "empty", "an empty name is refused");
	one_refused(M(.name = "/", .type = '2', .link = "/etc"), "root", "a symlink in place of the root is refused");
	for (int i = 0; i < 400; i++)
		strcat(deep, "d/");
	t_long(&tar, 'L', deep);
	t_add(&tar, M(.name = "x", .type = '5'));
	t_finish(&tar);
	refused(&tar, "levels", "400 levels of directories are refused");
	memset(longest, 'p', 5000);
	longest[5000] = '\0';
	t_long(&tar, 'L', longest);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "longer", "a GNU name of 5000 bytes is refused");
	t_pax(&tar, 'x', "path", longest);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "longer", "a PAX path of 5000 bytes is refused");
	memset(component, 'c', 299);
	component[299] = '\0';
	t_long(&tar, 'L', component);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "255", "a component of 299 bytes is refused");
}

static void test_nul_name(void) {
	static const char record[] = "16 path=ab\0../x\n";
	unsigned char block[512] = "p";
	struct tar tar = {0};
	char padded[512] = "";

	memcpy(block + 100, "0000644", 8);
	memcpy(block + 124, "00000000020", 12);
	block[156] = 'x';
	memcpy(block + 257, "ustar\00000", 8);
	memcpy(padded, record, 16);
	t_block(&tar, block);
	t_raw(&tar, padded, 512);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "NUL", "a NUL in a PAX path is refused");
}

static void test_normalised_names(void) {
	struct tar tar = {0};

	t_add(&tar, M(.name = "/abs/file", .content = "1"));
	t_add(&tar, M(.name = "./dot//file", .content = "2"));
	t_add(&tar, M(.name = "back\\..\\slash", .content = "3"));
	t_add(&tar, M(.name = "C:\\x", .content = "4"));
	t_add(&tar, M(.name = "..dots", .content = "5"));
	t_finish(&tar);
	accepted(&tar, "absolute, dotted and backslash names stay in the layer");
	ok(text_is("abs/file", "1") && text_is("dot/file", "2") && text_is("back\\..\\slash", "3") &&
	       text_is("C:\\x", "4") && text_is("..dots", "5"),
	   "they are where they should be");
	forget_layer();
}

/*** I2, I3: links ***/

static void test_symlinks(void) {
	struct tar tar = {0};

	t_add(&tar, M(.name = "out", .type = '2', .link = "../victim"));
	t_add(&tar, M(.name = "out/secret", .content = "changed"));
	t_finish(&tar);
	refused(&tar, "no directory", "a file through a symlink that leaves the root is refused");
	t_add(&tar, M(.name = "victim", .type = '5'));
	t_add(&tar, M(.name = "out", .type = '2', .link = "../victim"));
	t_add(&tar, M(.name = "out/secret", .content = "in the layer"));
	t_finish(&tar);
	accepted(&tar, "a climbing symlink is resolved inside the root");
	ok(text_is("victim/secret", "in the layer"), "the file is in the layer's own directory");
	forget_layer();
	t_add(&tar, M(.name = "root", .type = '2', .link = "/"));
	t_add(&tar, M(.name = "root/file", .content = "x"));
	t_finish(&tar);
	accepted(&tar, "a symlink to / is the layer's root");
	ok(text_is("file", "x"), "the file is at the layer's root");
	forget_layer();
	t_add(&tar, M(.name = "proc", .type = '2', .link = "/proc/self/root"));
	t_add(&tar, M(.name = "proc/x", .content = "x"));
	t_finish(&tar);
	refused(&tar, "cannot open the directory", "a symlink into /proc leads nowhere");
	t_add(&tar, M(.name = "a", .type = '2', .link = "b"));
	t_add(&tar, M(.name = "b", .type = '2', .link = "a"));
	t_add(&tar, M(.name = "a/x", .content = "x"));
	t_finish(&tar);
	refused(&tar, "cannot open the directory", "a symlink loop is refused");
	one_refused(M(.name = "l", .type = '2', .link = ""), "nothing", "a symlink to nothing is refused");
}

/* The second fence: without the jail, look-ups still stay under the root descriptor. */
static void test_root_without_jail(void) {
	struct job_result result = {0};
	struct stat found, victim;
	struct tree tree;
	const char *base;
	int root, parent;

	mkdirat(work_fd, "root", 0700);
	symlinkat("../../layers/victim", work_fd, "root/out");
	root = openat(work_fd, "root", O_RDONLY | O_DIRECTORY);
	tree_open(&tree, root, world_map, &result);
	parent = tree_parent(&tree, "out/secret", &base);
	ok(parent == -1 || (fstat(parent, &found) == 0 && fstatat(layers_fd, "victim", &victim, 0) == 0 &&
	                    found.st_ino != victim.st_ino),
	   "look-ups do not leave the root, also without the jail");
	tree_close(&tree);
	close(root);
	tree_remove(work_fd, "root", &result);
}

static void test_hard_links(void) {
	struct tar tar = {0};

	one_refused(M(.name = "h", .type = '1', .link = "/etc/passwd"), "not in this archive",
	            "a hard link to an absolute path outside is refused");
	one_refused(M(.name = "h", .type = '1', .link = "../victim/secret"), "..", "a hard link that climbs is refused");
	one_refused(M(.name = "h", .type = '1', .link = "missing"), "not in this archive",
	            "a hard link to something missing is refused");
	one_refused(M(.name = "h", .type = '1', .link = "h"), "not in this archive", "a hard link to itself is refused");
	t_add(&tar, M(.name = "f", .content = "x"));
	t_add(&tar, M(.name = "f", .type = '1', .link = "./f"));
	t_finish(&tar);
	refused(&tar, "itself", "a hard link over its own target is refused");
	t_add(&tar, M(.name = "s", .type = '2', .link = "/etc/passwd"));
	t_add(&tar, M(.name = "h", .type = '1', .link = "s"));
	t_finish(&tar);
	refused(&tar, "regular", "a hard link to a symlink is refused");
	t_add(&tar, M(.name = "d", .type = '5'));
	t_add(&tar, M(.name = "h", .type = '1', .link = "d"));
	t_finish(&tar);
	refused(&tar, "regular", "a hard link to a directory is refused");
	t_add(&tar, M(.name = ".wh.w"));
	t_add(&tar, M(.name = "h", .type = '1', .link = "w"));
	t_finish(&tar);
	refused(&tar, "regular", "a hard link to a whiteout is refused");
	t_add(&tar, M(.name = "a/b/c", .type = '5'));
	t_add(&tar, M(.name = "c/up", .type = '2', .link = "../.."));
	t_add(&tar, M(.name = "h", .type = '1', .link = "c/up/victim/secret"));
	t_finish(&tar);
	refused(&tar, "not in this archive", "a hard link through a chain of symlinks is refused");
	t_add(&tar, M(.name = "f", .content = "one"));
	t_add(&tar, M(.name = "h", .type = '1', .link = "/f"));
	t_add(&tar, M(.name = "h", .type = '1', .link = "f"));
	t_finish(&tar);
	accepted(&tar, "hard links inside the archive are made, also twice");
	ok(text_is("h", "one"), "the link has the file's content");
	forget_layer();
}

/*** I4, I5: replacement ***/

static void test_flips(void) {
	struct tar tar = {0};
	int mode;

	t_add(&tar, M(.name = "x", .content = "file"));
	t_add(&tar, M(.name = "x", .type = '5', .mode = 0755));
	t_add(&tar, M(.name = "x/inner/deep", .content = "1"));
	t_add(&tar, M(.name = "x", .type = '2', .link = "y"));
	t_add(&tar, M(.name = "y/z", .content = "2"));
	t_add(&tar, M(.name = "x", .content = "last"));
	t_add(&tar, M(.name = "same", .content = "first"));
	t_add(&tar, M(.name = "same", .content = "second"));
	t_add(&tar, M(.name = "d", .type = '5', .mode = 0700));
	t_add(&tar, M(.name = "d/kept", .content = "k"));
	t_add(&tar, M(.name = "d", .type = '5', .mode = 0751));
	t_finish(&tar);
	accepted(&tar, "file, directory and symlink flip under one name");
	mode = layer_mode("d");
	ok(text_is("x", "last") && text_is("same", "second") && text_is("d/kept", "k") && (mode & 07777) == 0751,
	   "the last member wins; a directory over a directory keeps its children");
	forget_layer();
	t_add(&tar, M(.name = "d/s", .type = '5'));
	t_add(&tar, M(.name = "d/s/a", .content = "x"));
	t_add(&tar, M(.name = "d", .type = '2', .link = "../victim"));
	t_add(&tar, M(.name = "d/s/b", .content = "x"));
	t_finish(&tar);
	refused(&tar, "no directory", "a directory replaced by a symlink out is not followed out");
	t_add(&tar, M(.name = "d/s", .type = '2', .link = ".."));
	t_add(&tar, M(.name = "d/s/first", .content = "x"));
	t_add(&tar, M(.name = "d/s/d", .content = "now a file"));
	t_add(&tar, M(.name = "d/s/second", .content = "x"));
	t_finish(&tar);
	refused(&tar, "no directory", "a path whose directory was replaced is looked up anew");
	t_add(&tar, M(.name = "f", .content = "x"));
	t_add(&tar, M(.name = "f/g", .content = "x"));
	t_finish(&tar);
	refused(&tar, "no directory", "an entry below a file is refused");
	t_add(&tar, M(.name = "e\xcc\x81", .content = "nfd"));
	t_add(&tar, M(.name = "\xc3\xa9", .content = "nfc"));
	t_add(&tar, M(.name = "E", .content = "upper"));
	t_add(&tar, M(.name = "e", .content = "lower"));
	t_finish(&tar);
	accepted(&tar, "names that differ in case or composition are all kept");
	ok(text_is("e\xcc\x81", "nfd") && text_is("\xc3\xa9", "nfc") && text_is("E", "upper") && text_is("e", "lower"),
	   "each has its own content");
	forget_layer();
}

/*** I6, I7, I8, I14: types, bits, attributes, numbers ***/

static void test_special(void) {
	struct tar tar = {0};

	one_refused(M(.name = "sda", .type = '4'), "\"sda\" is refused: it is a device", "a block device is refused by name");
	one_refused(M(.name = "null", .type = '3'), "device", "a character device 0:0 is refused");
	one_refused(M(.name = "pipe", .type = '6'), "FIFO", "a FIFO is refused");
	one_refused(M(.name = "etc/passwd", .type = '6'), "FIFO", "a FIFO as /etc/passwd is refused");
	one_refused(M(.name = "sparse", .type = 'S'), "sparse", "an old GNU sparse file is refused");
	one_refused(M(.name = "v", .type = 'V'), "type", "an unknown entry type is refused");
	one_refused(M(.name = "devx/null", .type = '3'), "device", "only dev/ itself may carry devices");
	t_pax(&tar, 'x', "GNU.sparse.realsize", "9223372036854775807");
	t_add(&tar, M(.name = "s"));
	t_finish(&tar);
	refused(&tar, "sparse", "a PAX sparse file is refused");
	t_add(&tar, M(.name = "dev/null", .type = '3'));
	t_add(&tar, M(.name = "dev/sda", .type = '4'));
	t_add(&tar, M(.name = "dev", .type = '2', .link = "/victim"));
	t_add(&tar, M(.name = "proc", .content = "file"));
	t_add(&tar, M(.name = "etc/passwd", .type = '2', .link = "/etc/shadow"));
	t_finish(&tar);
	accepted(&tar, "device nodes below dev/ are passed over, odd /dev and /proc are plain entries");
	ok(layer_mode("dev/null") == -1 && S_ISLNK(layer_mode("dev")), "no device is on disk");
	forget_layer();
}

static void test_bits(void) {
	char value[64];
	struct tar tar = {0};
	struct stat st = {0};

	t_add(&tar, M(.name = "su", .content = "x", .mode = 06755, .uid = 5, .gid = 6));
	t_add(&tar, M(.name = "tmp", .type = '5', .mode = 07777));
	t_pax(&tar, 'x', "SCHILY.xattr.security.capability", "\x01");
	t_add(&tar, M(.name = "cap", .content = "x"));
	t_pax(&tar, 'x', "SCHILY.xattr.trusted.overlay.opaque", "y");
	t_add(&tar, M(.name = "t", .type = '5'));
	t_pax(&tar, 'x', "SCHILY.xattr.user.overlay.opaque", "y");
	t_pax(&tar, 'x', "SCHILY.xattr.user.overlay.redirect", "/victim");
	t_add(&tar, M(.name = "u", .type = '5'));
	t_pax(&tar, 'x', "SCHILY.xattr.user.mine", "value");
	t_add(&tar, M(.name = "mine", .content = "x"));
	t_finish(&tar);
	accepted(&tar, "privileged bits and attributes are stripped");
	ok((layer_mode("su") & 07777) == 0755, "set-user-id and set-group-id are off");
	ok((layer_mode("tmp") & 07777) == 01777, "a directory keeps its sticky bit only");
	ok(!layer_xattr("cap", "security.capability", value, sizeof(value)) && !is_opaque("t") && !is_opaque("u") &&
	       !layer_xattr("u", "user.overlay.redirect", value, sizeof(value)),
	   "file capabilities and overlay attributes are not on disk");
	ok(layer_xattr("mine", "user.mine", value, sizeof(value)) && strcmp(value, "value") == 0, "user.* is kept");
	fstatat(layers_fd, "layer/su", &st, 0);
	ok(world_map->single || (st.st_uid == 6 && st.st_gid == 7), "owners go through the id map");
	forget_layer();
}

static void many_xattrs(struct tar *tar) {
	char key[64];

	for (int i = 0; i < 65; i++) {
		snprintf(key, sizeof(key), "SCHILY.xattr.user.n%d", i);
		t_pax(tar, 'x', key, "v");
	}
	t_add(tar, M(.name = "x"));
	t_finish(tar);
}

static void test_numbers(void) {
	static const char *const ids[] = {"2147483648", "4294967295", "65534", "99999999999999999999"};
	unsigned char block[512] = "neg";
	struct tar tar = {0};
	struct stat st = {0};
	int nobody = 1;

	for (size_t i = 0; i < 4; i++) {
		t_pax(&tar, 'x', "uid", ids[i]);
		t_add(&tar, M(.name = (const char *[]){"u0", "u1", "u2", "u3"}[i], .content = "x"));
	}
	t_pax(&tar, 'x', "mtime", "9467085600000.5");
	t_add(&tar, M(.name = "future", .content = "x"));
	t_pax(&tar, 'x', "mtime", "-5");
	t_add(&tar, M(.name = "past", .content = "x"));
	t_add(&tar, M(.name = "d/e", .type = '5', .mtime = 77));
	t_add(&tar, M(.name = "d/e/f", .content = "x", .mtime = 88));
	t_finish(&tar);
	accepted(&tar, "owners and times out of range are clamped");
	for (int i = 0; i < 4; i++) {
		char path[16];

		snprintf(path, sizeof(path), "layer/u%d", i);
		nobody = nobody && fstatat(layers_fd, path, &st, 0) == 0 && (world_map->single || st.st_uid == 2001);
	}
	ok(nobody, "owners that are not in the map are nobody");
	ok(fstatat(layers_fd, "layer/past", &st, 0) == 0 && st.st_mtime == 0, "a time before 1970 is 1970");
	ok(fstatat(layers_fd, "layer/d/e", &st, 0) == 0 && st.st_mtime == 77 &&
	       fstatat(layers_fd, "layer/d", &st, 0) == 0 && st.st_mtime == 0,
	   "directory times are set last; implied directories have none");
	forget_layer();
	memcpy(block + 100, "0000644", 8);
	memset(block + 124, 0xff, 12);
	memcpy(block + 257, "ustar\00000", 8);
	block[156] = '0';
	t_block(&tar, block);
	t_finish(&tar);
	refused(&tar, "bad size", "a negative base-256 size is refused");
	memcpy(block + 124, "99999999999", 12);
	t_block(&tar, block);
	t_finish(&tar);
	refused(&tar, "bad size", "a size that is not octal is refused");
	t_pax(&tar, 'x', "size", "99999999999999999999");
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "bad size", "a PAX size out of range is refused");
	many_xattrs(&tar);
	refused(&tar, "too many", "65 extended attributes are refused");
}

/*** I10, I12: caps and damage ***/

static void test_caps(void) {
	const struct unpack_limits few = {.max_bytes = 100, .max_entries = 5};
	struct job_result result;
	struct tar tar = {0};
	char *big = malloc((1 << 20) + 64);
	char name[16];

	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		t_add(&tar, M(.name = name));
	}
	t_finish(&tar);
	ok(t_unpack_limited(&tar, &few, &result) == -1 && strstr(result.message, "5 entries") && layer_mode("") == -1,
	   "the cap on entries holds");
	t_add(&tar, M(.name = "a", .lie = 1, .size = 60, .content = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	t_add(&tar, M(.name = "b", .content = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"));
	t_finish(&tar);
	ok(t_unpack_limited(&tar, &few, &result) == -1 && strstr(result.message, "100 bytes") && layer_mode("") == -1,
	   "the cap on bytes holds over all files together");
	if (!big)
		abort();
	memset(big, 'v', 1 << 20);
	big[1 << 20] = '\0';
	t_pax(&tar, 'x', "comment", big);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "too large", "an extended header over 1 MiB is refused");
	big[(1 << 20) - 600] = '\0';
	t_pax(&tar, 'g', "comment", big);
	t_pax(&tar, 'g', "comment", big);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "too large", "extended headers of one entry together over 1 MiB are refused");
	free(big);
	t_pax(&tar, 'g', "path", "../x");
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "global", "a path in a global header is refused");
	one_refused(M(.name = "huge", .lie = 1, .size = 0777777777777ULL), "more than", "a size beyond the cap is refused");
}

static void test_damage(void) {
	static const char html[] = "<!doctype html><title>502</title>";
	unsigned char block[512] = {0};
	struct tar tar = {0};

	tar.data = calloc(1, 1);
	refused(&tar, "truncated", "an empty stream is refused");
	memcpy(block, html, sizeof(html));
	t_raw(&tar, block, 512);
	refused(&tar, "not a tar", "a page of HTML is refused");
	t_raw(&tar, html, sizeof(html));
	refused(&tar, "truncated", "a stream shorter than a block is refused");
	t_add(&tar, M(.name = "a", .content = "x"));
	refused(&tar, "truncated", "an archive without end marker is refused");
	t_add(&tar, M(.name = "a", .lie = 1, .size = 5000, .content = "x"));
	refused(&tar, "truncated", "an archive that ends inside a file is refused");
	t_add(&tar, M(.name = "a", .content = "x"));
	tar.data[0] ^= 1;
	t_finish(&tar);
	refused(&tar, "checksum", "a wrong checksum is refused");
	t_add(&tar, M(.name = "a", .content = "x"));
	t_finish(&tar);
	t_raw(&tar, "junk", 4);
	refused(&tar, "after the end", "data after the end marker is refused");
	t_pax(&tar, 'x', "path", "x");
	t_finish(&tar);
	refused(&tar, "without its entry", "an extended header without entry is refused");
	memset(block, 0, sizeof(block));
	memcpy(block, "p", 1);
	memcpy(block + 100, "0000644", 8);
	memcpy(block + 124, "00000000024", 12);
	block[156] = 'x';
	t_block(&tar, block);
	memset(block, 0, sizeof(block));
	memcpy(block, "9999 path=x\n", 12);
	t_raw(&tar, block, 512);
	t_add(&tar, M(.name = "x"));
	t_finish(&tar);
	refused(&tar, "malformed", "a PAX record longer than its header is refused");
	t_finish(&tar);
	accepted(&tar, "an archive of nothing but the end marker is an empty layer");
	forget_layer();
}

/*** I13: whiteouts ***/

static void test_whiteouts(void) {
	struct tar tar = {0};

	one_refused(M(.name = "d/.wh."), "no valid name", "a whiteout without name is refused");
	one_refused(M(.name = "d/.wh.."), "no valid name", "a whiteout of . is refused");
	one_refused(M(.name = "d/.wh..."), "no valid name", "a whiteout of .. is refused");
	one_refused(M(.name = "d/.wh../x"), "below a whiteout", "a path through a whiteout name does not climb");
	one_refused(M(.name = "d/.wh..wh.x"), "no valid name", "a whiteout of a whiteout is refused");
	one_refused(M(.name = ".wh..wh..opq"), "root", "an opaque whiteout of the root is refused");
	one_refused(M(.name = "d/.wh..wh..opq", .type = '2', .link = "x"), "regular", "an opaque marker that is a symlink is refused");
	one_refused(M(.name = "d/.wh.x", .type = '5'), "regular", "a whiteout that is a directory is refused");
	one_refused(M(.name = "d/.wh.x", .content = "data"), "content", "a whiteout with content is refused");
	t_add(&tar, M(.name = "d", .type = '2', .link = "../victim"));
	t_add(&tar, M(.name = "d/.wh.secret"));
	t_finish(&tar);
	refused(&tar, "no directory", "a whiteout through a symlink out is refused");
	t_add(&tar, M(.name = ".wh.gone"));
	t_add(&tar, M(.name = "before", .content = "x"));
	t_add(&tar, M(.name = ".wh.before"));
	t_add(&tar, M(.name = ".wh.after"));
	t_add(&tar, M(.name = "after", .content = "y"));
	t_add(&tar, M(.name = "dir1/f", .content = "1"));
	t_add(&tar, M(.name = ".wh.dir1"));
	t_add(&tar, M(.name = ".wh.dir2"));
	t_add(&tar, M(.name = "dir2/f", .content = "2"));
	t_add(&tar, M(.name = ".wh.dir3"));
	t_add(&tar, M(.name = "dir3", .type = '5'));
	t_add(&tar, M(.name = "opq/.wh..wh..opq"));
	t_add(&tar, M(.name = "opq/f", .content = "3"));
	t_finish(&tar);
	accepted(&tar, "whiteouts and entries of the same name go together in either order");
	ok(is_char_0_0("gone"), "a whiteout is the device 0:0 on disk");
	ok(text_is("before", "x") && text_is("after", "y"), "a file of this layer stays visible");
	ok(is_opaque("dir1") && text_is("dir1/f", "1") && is_opaque("dir2") && text_is("dir2/f", "2") && is_opaque("dir3"),
	   "a directory of this layer becomes opaque and keeps its children");
	ok(is_opaque("opq") && text_is("opq/f", "3") && layer_mode("opq/.wh..wh..opq") == -1, "the opaque marker is an attribute");
	forget_layer();
}

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

static int tests(void) {
	test_jail();
	test_names();
	test_nul_name();
	test_normalised_names();
	test_symlinks();
	test_root_without_jail();
	test_hard_links();
	test_flips();
	test_special();
	test_bits();
	test_numbers();
	test_caps();
	test_damage();
	test_whiteouts();
	test_existing();
	test_remove();
	test_remove_many();
	test_pack();
	return failures() > 0;
}

int main(void) {
	return world_run(tests);
}
