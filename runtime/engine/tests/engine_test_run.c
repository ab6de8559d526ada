/* Requests, and what becomes of a program that runs: output, control, ends, others beside it, what it wrote. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine_tests.h"

static void bad_requests_are_refused_and_leave_nothing(void)
{
	const char *const bad = "bad_request";
	expect_refused(bad, "op", FIELDS("op=dance"));
	expect_refused(bad, "key=value", FIELDS("nothing"));
	expect_refused(bad, "id", FIELDS("op=create", "profile=function", "layer=base", "arg=a"));
	expect_refused(bad, "id", FIELDS("op=create", "id=../x", FUNCTION));
	expect_refused(bad, "layer", FIELDS("op=create", "id=a", "profile=function", "arg=a"));
	expect_refused(bad, "layer", FIELDS("op=create", "id=a", FUNCTION, "layer=.."));
	expect_refused(bad, "layer", FIELDS("op=create", "id=a", FUNCTION, "layer=a/b"));
	expect_refused(bad, "profile", FIELDS("op=create", "id=a", "profile=root", "layer=base"));
	expect_refused(bad, "arg", FIELDS("op=create", "id=a", FUNCTION_WITHOUT_PROGRAM, "arg="));
	expect_refused(bad, "terminal", FIELDS("op=create", "id=a", FUNCTION, "terminal=24"));
	expect_refused(bad, "hostname", FIELDS("op=create", "id=a", FUNCTION, "hostname=a b"));
	expect_refused(bad, "env", FIELDS("op=create", "id=a", FUNCTION, "env=A"));
	expect_refused(bad, "cwd", FIELDS("op=create", "id=a", FUNCTION, "cwd=tmp"));
	expect_refused(bad, "memory", FIELDS("op=create", "id=a", FUNCTION, "memory=-1"));
	expect_refused(bad, "pids", FIELDS("op=create", "id=a", FUNCTION, "pids=1e3"));
	expect_refused(bad, "net", FIELDS("op=create", "id=a", FUNCTION, "net=host"));
	expect_refused(bad, "mount-ro", FIELDS("op=create", "id=a", FUNCTION, "mount-ro=ca.pem"));
	expect_refused(bad, "token", FIELDS("op=create", "id=a", FUNCTION, "control=a\nb"));
	expect_refused("layer_missing", "nowhere",
	               FIELDS("op=create", "id=a", FUNCTION, "layer=nowhere"));
	expect_refused("setup_failed", "function",
	               FIELDS("op=create", "id=a", FUNCTION, "code-layer=second"));
	expect_refused("setup_failed", "/not/there",
	               FIELDS("op=create", "id=a", FUNCTION, "mount-ro=ca.pem:/not/there"));
	expect_refused("exec_failed", "/nowhere",
	               FIELDS("op=create", "id=a", "profile=function", "layer=base", "arg=/nowhere"));
	expect_refused("exec_failed", "Permission denied",
	               FIELDS("op=create", "id=a", "profile=function", "layer=base", "arg=/etc/name"));
	expect_refused("exec_failed", "working directory",
	               FIELDS("op=create", "id=a", FUNCTION, "cwd=/nowhere"));
	expect_refused("not_found", "nobody", FIELDS("op=exec", "id=nobody", "exec=e", "arg=/a"));
	expect_refused("not_found", "nobody", FIELDS("op=signal", "id=nobody", "signal=9"));
}

static void ends_are_reported_as_they_were(void)
{
	struct ending ending = run(FIELDS(FUNCTION, "arg=exit", "arg=7"));
	check(ending.status == 7 && !strcmp(ending.reason, "exited"), "%s", ending.reason);
	ending = run(FIELDS(FUNCTION, "arg=signal", "arg=11"));
	check(ending.signal == 11 && !strcmp(ending.reason, "exited"), "%s", ending.reason);
	ending = run(FIELDS(FUNCTION, "fsize=1000", "arg=write", "arg=/tmp/x", "arg=y"));
	check(ending.status == 0, "%s", ending.reason);
}

static void output_arrives_whole(void)
{
	static char much[1];
	run(FIELDS(FUNCTION, "arg=echo", "arg=to out", "arg=to err"));
	check(!strcmp(out, "to out") && !strcmp(err, "to err"), "%s %s", out, err);
	/* More than all buffers on the way hold; nobody reads until the program is stuck. */
	int logs = create("flood", FIELDS(FUNCTION, "arg=flood", "arg=900000"), NULL);
	driver_logs(logs, out, sizeof(out), err, sizeof(err));
	check(strlen(out) == 900000, "%zu bytes", strlen(out));
	check(take_exit("flood").status == 0, "flood");
	/* A reader that goes away does not stop the program. */
	logs = create("flood", FIELDS(FUNCTION, "arg=flood", "arg=5000000"), NULL);
	close(logs);
	check(take_exit("flood").status == 0, "%s", much);
}

static void the_control_connection_is_descriptor_3(void)
{
	char text[64] = "";
	uint32_t request =
		driver_send(&driver, FIELDS("op=create", "id=c", "control=ctl", FUNCTION, "arg=control"));
	int control = driver_accept(&driver, "ctl");
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
	check(recv(control, text, 11, MSG_WAITALL) == 11 && !strcmp(text, "from inside"), "%s", text);
	/* Its end comes with the program's: nobody else holds it. */
	check(read(control, text, 1) == 0, "the connection is still open");
	close(control);
	check(take_exit("c").status == 0, "control");
}

static void exec_runs_another_program(void)
{
	int logs = create("x", FIELDS(FUNCTION, "arg=sleep", "pids=50"), NULL);
	uint32_t request = driver_send(&driver, FIELDS("op=exec", "id=x", "exec=e1", "logs=le1",
	                                               "env=B=2", "arg=probe", "arg=env", "arg=B"));
	int exec_logs = driver_accept(&driver, "le1");
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok") && atoi(field(&reply, "pid")) > 1, "%s",
	      field(&reply, "message"));
	message_free(&reply);
	driver_logs(exec_logs, out, sizeof(out), err, sizeof(err));
	check(!strcmp(out, "2\n"), "%s", out);
	struct message event = driver_event(&driver);
	check(!strcmp(field(&event, "event"), "exec-exit") && !strcmp(field(&event, "exec"), "e1") &&
	              !strcmp(field(&event, "status"), "0"), "%s", field(&event, "event"));
	message_free(&event);
	expect_refused("exec_failed", "/nowhere",
	               FIELDS("op=exec", "id=x", "exec=e2", "arg=/nowhere"));
	expect_refused("bad_request", "exec", FIELDS("op=exec", "id=x", "arg=/bin/probe"));
	/* The confinement is the same. */
	request = driver_send(&driver, FIELDS("op=exec", "id=x", "exec=e3", "logs=le3",
	                                      "arg=/bin/probe", "arg=show"));
	exec_logs = driver_accept(&driver, "le3");
	reply = driver_wait(&driver, request);
	message_free(&reply);
	driver_logs(exec_logs, out, sizeof(out), err, sizeof(err));
	expect_lines(FIELDS("fds 0 1 2", "uid 1000 1000", "CapPrm 0000000000000000",
	                    "CapBnd 0000000000000000", "NoNewPrivs 1", "Seccomp 2"));
	event = driver_event(&driver);
	message_free(&event);
	reply = driver_ask(&driver, FIELDS("op=signal", "id=x", "signal=15"));
	check(message_get(&reply, "ok"), "signal");
	message_free(&reply);
	check(take_exit("x").signal == 15, "signal");
	close(logs);
}

static void stats_count_what_runs(void)
{
	pid_t pid;
	char path[32];
	struct stat status;
	int logs = create("s", FIELDS(FUNCTION, "arg=sleep", "memory=100000000", "pids=9"), &pid);
	/* Pid 1 is not dumpable: its files in /proc belong to the machine's root. */
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	check(!stat(path, &status) && status.st_uid == 0, "%s belongs to %u", path, status.st_uid);
	struct message reply = driver_ask(&driver, FIELDS("op=stats", "id=s"));
	check(atoll(field(&reply, "memory")) > 0 && atoi(field(&reply, "pids")) == 2, "%s %s",
	      field(&reply, "memory"), field(&reply, "pids"));
	check(atoi(field(&reply, "processes")) == 2, "%s processes", field(&reply, "processes"));
	message_free(&reply);
	reply = driver_ask(&driver, FIELDS("op=stats"));
	check(atoi(field(&reply, "sandboxes")) == 1, "%s", field(&reply, "sandboxes"));
	message_free(&reply);
	expect_refused("id_in_use", "s", FIELDS("op=create", "id=s", FUNCTION));
	for (int i = 0; i < 2; i++) {
		reply = driver_ask(&driver, FIELDS("op=destroy", "id=s"));
		check(message_get(&reply, "ok"), "destroy");
		message_free(&reply);
	}
	check(!strcmp(take_exit("s").reason, "killed"), "reason");
	close(logs);
}

static void a_build_can_be_packed_and_unpacked(void)
{
	static char tar[1 << 20];
	size_t length = 0;
	ssize_t got;
	check(run(FIELDS(BUILD, "arg=write", "arg=/etc/new", "arg=packed")).status == 0, "%s", out);
	uint32_t request = driver_send(&driver, FIELDS("op=pack", "upper=up", "data=d1", "mtime=0"));
	int data = driver_accept(&driver, "d1");
	while ((got = read(data, tar + length, sizeof(tar) - length)) > 0)
		length += (size_t)got;
	close(data);
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok") && length >= 1024, "%s", field(&reply, "message"));
	message_free(&reply);
	request = driver_send(&driver, FIELDS("op=unpack", "layer=new", "data=d2"));
	data = driver_accept(&driver, "d2");
	check(write(data, tar, length) == (ssize_t)length && !shutdown(data, SHUT_WR), "tar");
	reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok"), "%s: %s", field(&reply, "step"), field(&reply, "message"));
	message_free(&reply);
	close(data);
	run(FIELDS(FUNCTION, "layer=new", "arg=cat", "arg=/etc/new"));
	check(!strcmp(out, "packed"), "%s%s", out, err);
	for (int i = 0; i < 2; i++) {
		reply = driver_ask(&driver, FIELDS("op=remove", "layer=new"));
		check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
		message_free(&reply);
	}
	remove_work("up");
	reply = driver_ask(&driver, FIELDS("op=list"));
	check(message_get(&reply, "ok"), "list");
	size_t layers, works;
	free(message_all(&reply, "layer", &layers));
	free(message_all(&reply, "work", &works));
	check(layers == 5 && works == 1, "%zu layers, %zu work", layers, works);
	message_free(&reply);
}

const struct test run_tests[] = {
	TEST(bad_requests_are_refused_and_leave_nothing),
	TEST(ends_are_reported_as_they_were),
	TEST(output_arrives_whole),
	TEST(the_control_connection_is_descriptor_3),
	TEST(exec_runs_another_program),
	TEST(stats_count_what_runs),
	TEST(a_build_can_be_packed_and_unpacked),
	{ 0 },
};
