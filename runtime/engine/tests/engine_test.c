/*
 * The engine as a worker sees it, with real sandboxes: one file a theme, all of them with one
 * engine. `engine_test ENGINE PROBE LIMITS [TEST]`. Each test is a fact; it ends with the engine
 * as empty as before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/wait.h>

#include "engine_tests.h"

static const struct test *const themes[] = {
	world_tests, attach_tests, secret_tests, run_tests, limit_tests, volume_tests, end_tests,
};

static int root_is_refused(void)
{
	int status;
	driver_launch(&driver, engine_path, limits_mode);
	check(!strcmp(field(&driver.ready, "event"), "fatal") &&
	              strstr(field(&driver.ready, "message"), "root"), "%s",
	      field(&driver.ready, "event"));
	check(waitpid(driver.engine, &status, 0) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1,
	      "status %x", status);
	driver_remove(&driver);
	printf("ok root_is_refused\n");
	return 0;
}

static const char *skipped;

void skip(const char *reason)
{
	skipped = reason;
}

static void run_one(const struct test *test)
{
	skipped = NULL;
	struct inventory before = take_inventory();
	test->run();
	struct inventory after = take_inventory();
	check(test->restarts || !memcmp(&before, &after, sizeof(before)),
	      "%s left something: fds %d %d, children %d %d, names %d %d", test->name, before.fds,
	      after.fds, before.children, after.children, before.names, after.names);
	if (skipped)
		printf("ok - %s # SKIP %s\n", test->name, skipped);
	else
		printf("ok %s\n", test->name);
}

/* What engines share there goes with the last of them. */
static void check_nothing_lies_in_work(void)
{
	static const char *const skeletons[] = { "+skeleton", "+function-skeleton" };
	for (size_t i = 0; i < ARRAY_LENGTH(skeletons); i++) {
		char path[160];
		snprintf(path, sizeof(path), "%s/work/%s", driver.directory, skeletons[i]);
		check(access(path, F_OK) && errno == ENOENT, "%s is left", path);
	}
}

int main(int count, char **values)
{
	if (count < 4) {
		fprintf(stderr, "usage: engine_test ENGINE PROBE LIMITS [TEST]\n");
		return 2;
	}
	engine_path = values[1];
	probe_path = values[2];
	limits_mode = values[3];
	setvbuf(stdout, NULL, _IOLBF, 0);
	driver_prepare(&driver, probe_path);
	if (getuid() == 0)
		return root_is_refused();
	driver_start(&driver, engine_path, limits_mode);
	printf("# limits %s, ids %s%s\n", field(&driver.ready, "limits"), field(&driver.ready, "ids"),
	       single() ? " (weaker)" : "");
	for (size_t i = 0; i < ARRAY_LENGTH(themes); i++)
		for (const struct test *test = themes[i]; test->name; test++)
			if (count == 4 || !strcmp(values[4], test->name))
				run_one(test);
	driver_stop(&driver);
	check_nothing_lies_in_work();
	driver_remove(&driver);
	return 0;
}
