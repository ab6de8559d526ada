/* Nothing is left, and nothing is shared: after many sandboxes, without a helper, without an engine. */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <time.h>

#include "engine_tests.h"

#define ROUNDS 1000

static void many_sandboxes_leave_nothing(void)
{
	struct inventory before = take_inventory();
	for (int round = 0; round < ROUNDS; round++) {
		/* Every tenth can not start: failures must be as clean as successes. */
		bool fails = round % 10 == 9;
		uint32_t request = driver_send(
			&driver, FIELDS("op=create", "id=many", "profile=function", "layer=base",
		                    fails ? "arg=/nowhere" : "arg=/bin/probe", "arg=sleep",
		                    "memory=100000000", "pids=10"));
		struct message reply = driver_wait(&driver, request);
		check(!message_get(&reply, "ok") == fails, "%s", field(&reply, "message"));
		message_free(&reply);
		reply = driver_ask(&driver, FIELDS("op=destroy", "id=many"));
		message_free(&reply);
		if (!fails)
			take_exit("many");
	}
	struct inventory after = take_inventory();
	check(!memcmp(&before, &after, sizeof(before)),
	      "fds %d %d, children %d %d, mounts %d %d, groups %d %d, names %d %d", before.fds,
	      after.fds, before.children, after.children, before.mounts, after.mounts, before.groups,
	      after.groups, before.names, after.names);
}

/* As `network` of the probe says it; the sandbox lives on. */
static void read_network(const char *id, char text[64])
{
	char said[68] = "";
	int logs = create(id, FIELDS(FUNCTION, "arg=network"), NULL);
	check(read(logs, said, sizeof(said) - 1) > 4, "nothing said");
	snprintf(text, 64, "%s", said + 4);
	check(strstr(text, "net:[") && strstr(text, " up"), "%s", text);
	close(logs);
}

/* More of them than are made ahead. */
static void no_two_functions_share_a_network(void)
{
	enum { COUNT = 24 };
	char ids[COUNT][16], seen[COUNT][64], own[64] = "";
	check(readlink("/proc/self/ns/net", own, sizeof(own) - 1) > 0, "own network");
	for (int i = 0; i < COUNT; i++) {
		snprintf(ids[i], sizeof(ids[i]), "net%d", i);
		read_network(ids[i], seen[i]);
		check(strncmp(seen[i], own, strlen(own)), "the test's own network");
		for (int j = 0; j < i; j++)
			check(strcmp(seen[i], seen[j]), "%s twice", seen[i]);
	}
	for (int i = 0; i < COUNT; i++)
		destroy(ids[i]);
}

static void functions_start_without_the_helper(void)
{
	pid_t pids[16];
	char text[64];
	check(children_of(driver.engine, pids, 16) == 2, "relay and helper");
	check(!kill(pids[1], SIGKILL), "kill");
	wait_until_gone(pids[1]);
	for (int i = 0; i < 12; i++) {
		read_network("alone", text);
		destroy("alone");
	}
	driver_stop(&driver);
	driver_start(&driver, engine_path, limits_mode);
}

static void everything_dies_with_the_engine(void)
{
	pid_t pids[16];
	int status;
	for (int how = 0; how < 2; how++) {
		int logs[2] = { create("d1", FIELDS(FUNCTION, "arg=fork", "arg=5", "arg=hold"), NULL),
			            create("d2", FIELDS(FUNCTION, "arg=sleep", "net=egress"), NULL) };
		uint32_t request = driver_send(&driver, FIELDS("op=unpack", "layer=half", "data=dd"));
		int data = driver_accept(&driver, "dd");
		(void)request; /* never answered */
		int count = children_of(driver.engine, pids, 16);
		for (int i = 0; count < 5 && i < 1000; i++, count = children_of(driver.engine, pids, 16))
			nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
		check(count == 5, "%d children, not relay, helper, job and two sandboxes", count);
		/* One that can not look after itself; only possible where it has our own uid. */
		for (int i = 0; i < count; i++)
			wait_until_asleep(pids[i]);
		for (int i = 0; i < count; i++)
			kill(pids[i], SIGSTOP);
		if (how == 0) {
			check(!kill(driver.engine, SIGKILL), "kill");
			check(waitpid(driver.engine, &status, 0) == driver.engine, "wait");
			close(driver.control);
			close(driver.listener);
			message_free(&driver.ready);
			buffer_free(&driver.in);
			buffer_free(&driver.events);
		} else {
			driver_stop(&driver);
		}
		for (int i = 0; i < count; i++)
			wait_until_gone(pids[i]);
		close(logs[0]);
		close(logs[1]);
		close(data);
		driver_start(&driver, engine_path, limits_mode);
	}
	/* What the first engines left (a cgroup, a temporary) does not disturb the next. */
	check(run(FIELDS(FUNCTION, "arg=true")).status == 0, "%s", err);
}

const struct test end_tests[] = {
	TEST(many_sandboxes_leave_nothing),
	TEST(no_two_functions_share_a_network),
	TEST(functions_start_without_the_helper),
	TEST_THAT_RESTARTS(everything_dies_with_the_engine),
	{ 0 },
};
