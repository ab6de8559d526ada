/*
 * Tests of unpack, pack and removal: the hostile archives (paths, links, devices,
 * sizes, headers, whiteouts), what a good archive looks like on disk, and a round
 * trip: one file a theme, all of them in one world (archive_world.c). TAP on
 * stdout. Every refusal also checks that nothing is left and that nothing outside
 * of the layer changed.
 */
#include "archive_tests.h"

static int tests(void) {
	archive_whole_tests();
	archive_names_tests();
	archive_entries_tests();
	archive_damage_tests();
	return failures() > 0;
}

int main(void) {
	return world_run(tests);
}
