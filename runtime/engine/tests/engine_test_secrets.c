/* Secrets of a function: files of its own, and nowhere else. */
#define _GNU_SOURCE
#include "engine_tests.h"

/* The output of a probe that is started in the live sandbox `run`. */
static void probe_inside(const char *what, const char *path)
{
	char first[32], second[64];
	snprintf(first, sizeof(first), "arg=%s", what);
	snprintf(second, sizeof(second), "arg=%s", path);
	uint32_t request = driver_send(&driver, FIELDS("op=exec", "id=run", "exec=e", "logs=l",
	                                               "arg=/bin/probe", first, second, "arg=x"));
	int logs = driver_accept(&driver, "l");
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
	driver_logs(logs, out, sizeof(out), err, sizeof(err));
	reply = driver_event(&driver);
	check(!strcmp(field(&reply, "event"), "exec-exit"), "%s", field(&reply, "event"));
	message_free(&reply);
}

static void expect_secrets_inside(void)
{
	probe_inside("cat", "/run/secrets/db.pass");
	check(!strcmp(out, "s3cret\n"), "%s", out);
	probe_inside("stat", "/run/secrets/db.pass");
	check(!strcmp(out, "100400 1000 1000\n"), "%s", out);
	probe_inside("stat", "/run/secrets/empty");
	check(!strcmp(out, "100400 1000 1000\n"), "%s", out);
	probe_inside("write", "/run/secrets/db.pass");
	check(strstr(out, "EACCES") || strstr(out, "EROFS"), "%s", out);
	probe_inside("write", "/run/secrets/more");
	check(strstr(out, "EROFS"), "%s", out);
	probe_inside("cat", "/proc/self/mountinfo");
	check(strstr(out, " /run/secrets ro,nosuid,nodev,noexec") && !strstr(out, driver.directory),
	      "%s", out);
}

#define SECRETS "secret=db.pass:7333637265740a", "secret=empty:"

static void secrets_are_read_only_files_of_the_function(void)
{
	const char *const *const ways[] = { FIELDS(FUNCTION, SECRETS, "arg=sleep"),
		                                FIELDS(FUNCTION, SECRETS, "code-layer=code1", "arg=sleep"),
		                                FIELDS(FUNCTION, "arg=sleep") };
	for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
		int logs = create("run", ways[i], NULL);
		struct message reply;
		if (i == ARRAY_LENGTH(ways) - 1) {
			probe_inside("stat", "/run/secrets/db.pass");
			check(!strcmp(out, "ENOENT\n"), "%s", out);
			reply = driver_ask(&driver,
			                   FIELDS("op=attach", "id=run", "code-layer=code1", SECRETS));
			check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
			message_free(&reply);
		}
		expect_secrets_inside();
		destroy("run");
		close(logs);
	}
	run(FIELDS(FUNCTION, "arg=stat", "arg=/run/secrets/db.pass"));
	check(!strcmp(out, "ENOENT\n"), "another sandbox has it: %s", out);
}

static void a_secret_that_is_refused_is_not_repeated(void)
{
	static const struct {
		const char *secret, *text;
	} cases[] = { { "secret=a/b:7333", "no name" },
		          { "secret=7333637265740a", "no name" },
		          { "secret=..:7333637265740a", "no name" },
		          { "secret=db:7333637265740", "db is not at most" },
		          { "secret=db:s3cret", "db is not at most" } };
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct message reply = driver_ask(
			&driver, FIELDS("op=create", "id=bad", FUNCTION, cases[i].secret, "arg=sleep"));
		check(!strcmp(field(&reply, "error"), "bad_request"), "%s", cases[i].secret);
		check(strstr(field(&reply, "message"), cases[i].text) &&
		              !strstr(field(&reply, "message"), "s3c") &&
		              !strstr(field(&reply, "message"), "7333"),
		      "%s", field(&reply, "message"));
		message_free(&reply);
	}
	expect_refused("bad_request", "functions only",
	               FIELDS("op=create", "id=bad", BUILD, "secret=db:73", "arg=sleep"));
}

const struct test secret_tests[] = {
	TEST(secrets_are_read_only_files_of_the_function),
	TEST(a_secret_that_is_refused_is_not_repeated),
	{ 0 },
};
