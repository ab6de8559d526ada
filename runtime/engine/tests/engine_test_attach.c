/* Code that comes to a sandbox which runs already. */
#define _GNU_SOURCE
#include "engine_tests.h"

static void attach_shows_code_in_a_live_function_once(void)
{
	int logs = create("run", FIELDS(FUNCTION, "pids=20", "memory=67108864", "arg=sleep"), NULL);
	const char *const attach[] = { "op=attach", "id=run", "code-layer=code1", "code-layer=code2",
		                           "memory=33554432", "pids=10", NULL };
	expect_refused("bad_request", "pids",
	               FIELDS("op=attach", "id=run", "code-layer=code1", "pids=21"));
	expect_refused("layer_missing", "nowhere",
	               FIELDS("op=attach", "id=run", "code-layer=nowhere"));
	struct message reply = driver_ask(&driver, attach);
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	check(message_get(&reply, "us_attach"), "us_attach");
	message_free(&reply);
	const struct {
		const char *what, *path, *expected;
	} looks[] = { { "cat", "/function/a", "1a\n" }, { "cat", "/function/b", "2b\n" },
		          { "write", "/function/a", NULL } };
	for (size_t i = 0; i < ARRAY_LENGTH(looks); i++) {
		char what[32], path[64];
		snprintf(what, sizeof(what), "arg=%s", looks[i].what);
		snprintf(path, sizeof(path), "arg=%s", looks[i].path);
		uint32_t request = driver_send(
			&driver, FIELDS("op=exec", "id=run", "exec=e", "logs=l", "arg=/bin/probe", what, path,
		                    "arg=x"));
		int exec_logs = driver_accept(&driver, "l");
		struct message started = driver_wait(&driver, request);
		check(message_get(&started, "ok"), "%s", field(&started, "message"));
		message_free(&started);
		driver_logs(exec_logs, out, sizeof(out), err, sizeof(err));
		if (looks[i].expected)
			check(!strcmp(out, looks[i].expected), "%s", out);
		else
			check(strstr(out, "EROFS"), "%s", out);
		struct message event = driver_event(&driver);
		check(!strcmp(field(&event, "event"), "exec-exit"), "%s", field(&event, "event"));
		message_free(&event);
	}
	expect_refused("already_attached", "run", attach);
	reply = driver_ask(&driver, FIELDS("op=destroy", "id=run"));
	message_free(&reply);
	close(logs);
	take_exit("run");
}

static void attach_is_for_functions_without_code_only(void)
{
	const char *const attach[] = { "op=attach", "id=run", "code-layer=code1", NULL };
	const struct {
		const char *const *fields;
		const char *layer, *code, *text;
	} cases[] = {
		{ FIELDS(FUNCTION, "arg=sleep"), "code-layer=linked", "attach_failed", "linked" },
		{ FIELDS(FUNCTION, "arg=sleep"), "code-layer=second", "attach_failed", "second" },
		{ FIELDS(FUNCTION, "arg=sleep"), "code-layer=../base", "bad_request", "name" },
		{ FIELDS(FUNCTION, "code-layer=code1", "arg=sleep"), "code-layer=code1", "bad_request", "empty" },
		{ FIELDS(FUNCTION, "layer=code1", "arg=sleep"), "code-layer=code1", "bad_request", "empty" },
		{ FIELDS(BUILD, "arg=sleep"), "code-layer=code1", "bad_request", "no function" },
		{ FIELDS("profile=container", "layer=base", "upper=up", "arg=/bin/probe", "arg=sleep"),
		  "code-layer=code1", "bad_request", "no function" },
	};
	expect_refused("not_found", "run", attach);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int logs = create("run", cases[i].fields, NULL);
		expect_refused("bad_request", "code-layer", FIELDS("op=attach", "id=run"));
		expect_refused(cases[i].code, cases[i].text, FIELDS("op=attach", "id=run", cases[i].layer));
		/* Half-way is once, too. */
		if (!strcmp(cases[i].code, "attach_failed"))
			expect_refused("already_attached", "run", attach);
		struct message reply = driver_ask(&driver, FIELDS("op=destroy", "id=run"));
		message_free(&reply);
		close(logs);
		take_exit("run");
	}
	remove_work("up");
}

static void attach_changes_the_size_of_tmp(void)
{
	static const char *const sizes[] = { "131072", "4194304" };
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		char size[32], expected[64];
		int logs = create("run", FIELDS(FUNCTION, "tmp=1048576", "arg=sleep"), NULL);
		snprintf(size, sizeof(size), "tmp=%s", sizes[i]);
		struct message reply = driver_ask(
			&driver, FIELDS("op=attach", "id=run", "code-layer=code1", size));
		check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
		message_free(&reply);
		uint32_t request = driver_send(
			&driver, FIELDS("op=exec", "id=run", "exec=e", "logs=l", "arg=/bin/probe",
		                    "arg=fill", "arg=8388608"));
		int exec_logs = driver_accept(&driver, "l");
		reply = driver_wait(&driver, request);
		message_free(&reply);
		driver_logs(exec_logs, out, sizeof(out), err, sizeof(err));
		snprintf(expected, sizeof(expected), "filled %s ENOSPC\n", sizes[i]);
		check(!strcmp(out, expected), "%s", out);
		reply = driver_event(&driver);
		message_free(&reply);
		reply = driver_ask(&driver, FIELDS("op=destroy", "id=run"));
		message_free(&reply);
		close(logs);
		take_exit("run");
	}
}

static void attach_takes_no_file_of_tmp_away(void)
{
	char said[64];
	int logs = create("run", FIELDS(FUNCTION, "tmp=1048576", "arg=fill-hold", "arg=524288"), NULL);
	check(read(logs, said, sizeof(said)) > 0, "filled");
	expect_refused("bad_request", "tmp",
	               FIELDS("op=attach", "id=run", "code-layer=code1", "tmp=much"));
	expect_refused("attach_failed", "/tmp",
	               FIELDS("op=attach", "id=run", "code-layer=code1", "tmp=65536"));
	struct message reply = driver_ask(&driver, FIELDS("op=destroy", "id=run"));
	message_free(&reply);
	close(logs);
	take_exit("run");
}

const struct test attach_tests[] = {
	TEST(attach_shows_code_in_a_live_function_once),
	TEST(attach_is_for_functions_without_code_only),
	TEST(attach_changes_the_size_of_tmp),
	TEST(attach_takes_no_file_of_tmp_away),
	{ 0 },
};
