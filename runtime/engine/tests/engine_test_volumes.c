/* Volumes of functions: shown while they run, changed by transactions, put together. */
#define _GNU_SOURCE
#include "engine_tests.h"

#define WITH_PLACE FUNCTION, "point=/data", "arg=sleep"

/* Asks for what must succeed; the number of that name in the reply, -1 without one. */
static long long ask(const char *number, const char *const *fields)
{
	struct message reply = driver_ask(&driver, fields);
	const char *value = number ? message_get(&reply, number) : NULL;
	long long result = value ? atoll(value) : -1;
	check(message_get(&reply, "ok"), "%s: %s", fields[0], field(&reply, "message"));
	message_free(&reply);
	return result;
}

/* What the probe says in the sandbox `run`. */
static void look(const char *what, const char *path, const char *text, const char *expected)
{
	char first[32], second[64], third[32];
	snprintf(first, sizeof(first), "arg=%s", what);
	snprintf(second, sizeof(second), "arg=%s", path);
	snprintf(third, sizeof(third), "arg=%s", text);
	uint32_t request = driver_send(
		&driver, FIELDS("op=exec", "id=run", "exec=e", "logs=l", "arg=/bin/probe", first, second, third));
	int logs = driver_accept(&driver, "l");
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
	driver_logs(logs, out, sizeof(out), err, sizeof(err));
	check(*expected ? strstr(out, expected) != NULL : !*out, "%s %s: %s", what, path, out);
	reply = driver_event(&driver);
	message_free(&reply);
}

static void remove_volume(const char *name)
{
	char text[64];
	snprintf(text, sizeof(text), "volume=%s", name);
	ask(NULL, FIELDS("op=remove", text));
}

static void a_volume_is_shown_at_its_place(void)
{
	ask(NULL, FIELDS("op=make-volume", "volume=v"));
	expect_refused("volume_failed", "v", FIELDS("op=make-volume", "volume=v"));
	int logs = create("run", FIELDS(WITH_PLACE), NULL);
	look("write", "/data/f", "x", "/data/f: E");
	ask(NULL, FIELDS("op=mount", "id=run", "volume=0:rw:v"));
	look("write", "/data/f", "text", "");
	look("cat", "/data/f", "", "text");
	/* Making it again takes nothing away. */
	expect_refused("volume_failed", "v", FIELDS("op=make-volume", "volume=v"));
	expect_refused("volume_failed", "v", FIELDS("op=make-volume", "volume=v", "upper=1"));
	look("cat", "/data/f", "", "text");
	ask(NULL, FIELDS("op=mount", "id=run", "volume=0:ro:v"));
	look("write", "/data/f", "x", "EROFS");
	look("cat", "/data/f", "", "text");
	destroy("run");
	close(logs);
	check(ask("entries", FIELDS("op=measure", "volume=v")) == 1, "one file");
	remove_volume("v");
}

static void a_transaction_becomes_a_layer(void)
{
	ask(NULL, FIELDS("op=make-volume", "volume=low"));
	ask(NULL, FIELDS("op=make-volume", "volume=up", "upper=1", "like=low"));
	ask(NULL, FIELDS("op=make-volume", "volume=idle", "upper=1", "like=low"));
	int logs = create("run", FIELDS(WITH_PLACE), NULL);
	ask(NULL, FIELDS("op=mount", "id=run", "volume=0:rw:low"));
	look("write", "/data/a", "1", "");
	ask(NULL, FIELDS("op=mount", "id=run", "volume=0:tx=up:low"));
	look("write", "/data/a", "2", "");
	look("write", "/data/b", "3", "");
	ask(NULL, FIELDS("op=mount", "id=run", "volume=0:ro:low"));
	look("cat", "/data/a", "", "1");
	check(ask("entries", FIELDS("op=seal-volume", "volume=up", "to=top")) == 2, "two files");
	check(ask("entries", FIELDS("op=seal-volume", "volume=idle", "to=none")) == 0, "nothing");
	ask(NULL, FIELDS("op=mount", "id=run", "volume=0:ro:low,top"));
	look("cat", "/data/a", "", "12");
	for (size_t i = 0; i < 2; i++) {
		ask(NULL, FIELDS("op=copy-volume", "volume=low,top", "to=whole", i ? "links=1" : "path=/"));
		ask(NULL, FIELDS("op=mount", "id=run", "volume=0:ro:whole"));
		look("cat", "/data/a", "", "12");
		look("cat", "/data/b", "", "3");
		ask(NULL, FIELDS("op=mount", "id=run", "volume=0:ro:low"));
		expect_refused("copy_failed", "whole", FIELDS("op=copy-volume", "volume=low", "to=whole"));
		remove_volume("whole");
	}
	destroy("run");
	close(logs);
	static const char *const names[] = { "low", "up", "idle", "top" };
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		remove_volume(names[i]);
}

static void what_is_no_volume_is_refused(void)
{
	static const char *const bad_points[] = { "point=data",  "point=/",     "point=/tmp/x", "point=/data/",
		                                      "point=/a//b", "point=/a/..", "point=/.wafer", "point=/a/./b" };
	static const char *const bad_mounts[] = { "volume=1:rw:v",  "volume=0:rw:../v", "volume=0:rw:",
		                                      "volume=0:xx:v",  "volume=0:rw:v,v",  "volume=0:tx=:v",
		                                      "volume=00:rw:v", "volume=",          "volume=0:tx=../u:v" };
	char many[600] = "volume=0:ro:v";
	for (size_t i = 0; i < ARRAY_LENGTH(bad_points); i++)
		expect_refused("bad_request", "point",
		               FIELDS("op=create", "id=run", FUNCTION, bad_points[i], "arg=sleep"));
	expect_refused("bad_request", "another",
	               FIELDS("op=create", "id=run", FUNCTION, "point=/a", "point=/a/b", "arg=sleep"));
	expect_refused("bad_request", "functions",
	               FIELDS("op=create", "id=run", BUILD, "point=/a", "arg=sleep"));
	ask(NULL, FIELDS("op=make-volume", "volume=v"));
	int logs = create("run", FIELDS(WITH_PLACE), NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(bad_mounts); i++)
		expect_refused("bad_request", "", FIELDS("op=mount", "id=run", bad_mounts[i]));
	while (strlen(many) < 200)
		strcat(many, ",v");
	expect_refused("bad_request", "", FIELDS("op=mount", "id=run", many));
	expect_refused("mount_failed", "nowhere", FIELDS("op=mount", "id=run", "volume=0:rw:nowhere"));
	expect_refused("bad_request", "..",
	               FIELDS("op=read-part", "volume=v", "path=/../x", "offset=0", "length=1", "data=d"));
	look("write", "/data/f", "x", "/data/f: E");
	destroy("run");
	close(logs);
	logs = create("run", FIELDS(FUNCTION, "arg=sleep"), NULL);
	expect_refused("bad_request", "places", FIELDS("op=mount", "id=run", "volume=0:rw:v"));
	destroy("run");
	close(logs);
	remove_volume("v");
}

const struct test volume_tests[] = {
	TEST(a_volume_is_shown_at_its_place),
	TEST(a_transaction_becomes_a_layer),
	TEST(what_is_no_volume_is_refused),
	{ 0 },
};
