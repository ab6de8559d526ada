/* Shared by the engine tests: one engine, and what most facts about sandboxes need. */
#ifndef WAFER_ENGINE_TESTS_H
#define WAFER_ENGINE_TESTS_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../util.h"
#include "driver.h"

/* engine_world.c: of the run; `out` and `err` are of the program that ran last. */
extern struct driver driver;
extern const char *engine_path, *probe_path, *limits_mode;
extern char out[1 << 20], err[65536];
bool single(void); /* there is one user id for all sandboxes */

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define FUNCTION_WITHOUT_PROGRAM "profile=function", "layer=base"
#define FUNCTION FUNCTION_WITHOUT_PROGRAM, "arg=/bin/probe"
#define BUILD "profile=build", "layer=base", "upper=up", "arg=/bin/probe"

/* What a sandbox left behind, taken from its exit event. */
struct ending {
	int status, signal; /* -1: not given */
	char reason[32];
};
struct ending take_exit(const char *id);
/* Creates a sandbox `id` from the fields, with logs; returns the logs connection. */
int create(const char *id, const char *const *fields, pid_t *pid);
/* Destroys it, and takes its exit event. */
void destroy(const char *id);
/* Runs to the end; output in `out` and `err`. */
struct ending run(const char *const *fields);
void remove_work(const char *name);
/* The test that runs has nothing to look at on this machine; its line says why. */
void skip(const char *reason);

void expect_refused(const char *code, const char *text, const char *const *fields);
bool has_line(const char *line);
void expect_lines(const char *const *lines);

/* engine_inventory.c: what an engine holds. */
struct inventory {
	int fds, children, mounts, groups, names;
};
struct inventory take_inventory(void);
/* Every process whose parent is the engine. */
int children_of(pid_t engine, pid_t *pids, int most);
void wait_until_gone(pid_t pid);
/* Waits until the process sleeps: it has set itself up. A process stopped before its first instruction could not. */
void wait_until_asleep(pid_t pid);

struct test {
	const char *name;
	void (*run)(void);
	bool restarts; /* ends with another engine than it began with */
};
#define TEST(name) { #name, name, false }
#define TEST_THAT_RESTARTS(name) { #name, name, true }

/* engine_test_*.c: each ends with one without a name. */
extern const struct test world_tests[], attach_tests[], secret_tests[], run_tests[], limit_tests[],
	volume_tests[], end_tests[];

#endif
