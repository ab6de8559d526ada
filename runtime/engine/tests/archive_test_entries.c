/* What an entry may be, and what becomes of it on disk: replacement, types, bits, attributes, numbers (I4 to I8, I14), whiteouts (I13). */
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "archive_tests.h"

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

void archive_entries_tests(void) {
	test_flips();
	test_special();
	test_bits();
	test_numbers();
	test_whiteouts();
}
