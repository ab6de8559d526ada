/* Caps, and archives that are damaged or lie (I10, I12). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_tests.h"

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

void archive_damage_tests(void) {
	test_caps();
	test_damage();
}
