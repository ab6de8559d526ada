/* Names and links of archives that want out of the layer (I1 to I3). */
#include <string.h>
#include <sys/mount.h>

#include "archive.h"
#include "archive_tests.h"
#include "jail.h"

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

void archive_names_tests(void) {
	test_names();
	test_nul_name();
	test_normalised_names();
	test_symlinks();
	test_root_without_jail();
	test_hard_links();
}
