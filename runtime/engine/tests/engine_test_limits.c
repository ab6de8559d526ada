/* Memory and processes end where they should, in each mode of limits. */
#define _GNU_SOURCE
#include "engine_tests.h"

static void memory_has_a_limit(void)
{
	static const char *const eaters[] = { "arg=eat", "arg=child-eats" };
	for (int i = 0; i < 2; i++) {
		struct ending ending =
			run(FIELDS(FUNCTION, eaters[i], "arg=2000", "memory=67108864"));
		check(!strcmp(ending.reason, "oom") && ending.signal == SIGKILL, "%s: %s %d %s",
		      eaters[i], ending.reason, ending.status, out);
	}
	struct ending ending = run(FIELDS(FUNCTION, "arg=eat", "arg=10", "memory=134217728"));
	check(ending.status == 0 && !strcmp(out, "ate 10\n"), "%s %s", ending.reason, out);
}

static void attach_brings_the_limits(void)
{
	int logs = create("run", FIELDS(FUNCTION, "memory=268435456", "arg=sleep"), NULL);
	struct message reply = driver_ask(
		&driver, FIELDS("op=attach", "id=run", "code-layer=code1", "memory=20000000"));
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
	reply = driver_ask(&driver, FIELDS("op=exec", "id=run", "exec=e", "arg=/bin/probe", "arg=eat",
	                                   "arg=100"));
	message_free(&reply);
	struct message event = driver_event(&driver);
	if (!strcmp(field(&event, "event"), "exec-exit")) {
		message_free(&event);
		event = driver_event(&driver);
	}
	check(!strcmp(field(&event, "reason"), "oom"), "%s", field(&event, "reason"));
	message_free(&event);
	close(logs);
}

static void processes_have_a_limit(void)
{
	struct ending ending = run(FIELDS(FUNCTION, "arg=fork", "arg=200", "pids=20"));
	check(ending.status == 0 && strstr(out, "EAGAIN"), "%s", out);
	check(atoi(out + 5) > 0 && atoi(out + 5) < 20, "%s", out);
}

const struct test limit_tests[] = {
	TEST(memory_has_a_limit),
	TEST(attach_brings_the_limits),
	TEST(processes_have_a_limit),
	{ 0 },
};
