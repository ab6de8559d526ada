/*
 * The engine as a worker sees it, with real sandboxes. `engine_test ENGINE PROBE LIMITS`.
 * Each test is a fact; it ends with the engine as empty as before.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../util.h"
#include "driver.h"

#define ROUNDS 1000

static struct driver driver;
static const char *engine_path, *probe_path, *limits_mode;
static char out[1 << 20], err[65536];

/* What a sandbox left behind, taken from its exit event. */
struct ending {
	int status, signal; /* -1: not given */
	char reason[32];
};

static struct ending take_exit(const char *id)
{
	struct message event = driver_event(&driver);
	struct ending ending = { -1, -1, "" };
	check(!strcmp(field(&event, "event"), "exit") && !strcmp(field(&event, "id"), id),
	      "event %s of %s", field(&event, "event"), field(&event, "id"));
	if (message_get(&event, "status"))
		ending.status = atoi(field(&event, "status"));
	if (message_get(&event, "signal"))
		ending.signal = atoi(field(&event, "signal"));
	snprintf(ending.reason, sizeof(ending.reason), "%s", field(&event, "reason"));
	check(message_get(&event, "cpu_us") && message_get(&event, "memory_peak"), "usage");
	message_free(&event);
	return ending;
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Creates a sandbox `id` from the fields, with logs; returns the logs connection. */
static int create(const char *id, const char *const *fields, pid_t *pid)
{
	char name[64], token[64], wanted[80];
	const char *all[64] = { "op=create", name, token };
	int count = 3;
	snprintf(name, sizeof(name), "id=%s", id);
	snprintf(token, sizeof(token), "logs=logs-%s", id);
	snprintf(wanted, sizeof(wanted), "logs-%s", id);
	while (*fields)
		all[count++] = *fields++;
	uint32_t request = driver_send(&driver, all);
	int logs = driver_accept(&driver, wanted);
	struct message reply = driver_wait(&driver, request);
	check(message_get(&reply, "ok"), "%s: %s", field(&reply, "step"), field(&reply, "message"));
	if (pid)
		*pid = atoi(field(&reply, "pid"));
	message_free(&reply);
	return logs;
}

/* Runs to the end; output in `out` and `err`. */
static struct ending run(const char *const *fields)
{
	driver_logs(create("run", fields, NULL), out, sizeof(out), err, sizeof(err));
	return take_exit("run");
}

#define FUNCTION_WITHOUT_PROGRAM "profile=function", "layer=base"
#define FUNCTION FUNCTION_WITHOUT_PROGRAM, "arg=/bin/probe"
#define BUILD "profile=build", "layer=base", "upper=up", "arg=/bin/probe"

static void expect_refused(const char *code, const char *text, const char *const *fields)
{
	struct message reply = driver_ask(&driver, fields);
	check(!strcmp(field(&reply, "error"), code), "%s is %s: %s", text, field(&reply, "error"),
	      field(&reply, "message"));
	check(strstr(field(&reply, "message"), text), "\"%s\" is not in \"%s\"", text,
	      field(&reply, "message"));
	check(message_get(&reply, "step"), "step");
	message_free(&reply);
}

static bool has_line(const char *line)
{
	size_t length = strlen(line);
	for (const char *at = strstr(out, line); at; at = strstr(at + 1, line))
		if ((at == out || at[-1] == '\n') && (at[length] == '\n' || !at[length]))
			return true;
	return false;
}

static void expect_lines(const char *const *lines)
{
	for (; *lines; lines++)
		check(has_line(*lines), "\"%s\" is not in:\n%s", *lines, out);
}

static void remove_work(const char *name)
{
	char text[64];
	snprintf(text, sizeof(text), "work=%s", name);
	struct message reply = driver_ask(&driver, FIELDS("op=remove", text));
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
}

static bool single(void)
{
	return !strcmp(field(&driver.ready, "ids"), "single");
}

/* ---- tests ---- */

static void a_function_sees_only_its_own_world(void)
{
	check(run(FIELDS(FUNCTION, "arg=show", "nofile=100")).status == 0, "%s%s", out, err);
	expect_lines(FIELDS(
		"fds 0 1 2", "uid 1000 1000", "gid 1000 1000 groups 0", "pid 2 ppid 1 sid 2", "cwd /",
		"hostname wafer", "CapInh 0000000000000000", "CapPrm 0000000000000000",
		"CapEff 0000000000000000", "CapBnd 0000000000000000", "CapAmb 0000000000000000",
		"NoNewPrivs 1", "Seccomp 2", "devices lo", "core 0", "nofile 100",
		"oom_score_adj 1000", "max_user_namespaces 0", "max_mnt_namespaces 0"));
	check(atoi(field(&driver.ready, "landlock")) < 2 || has_line("free-landlock-domains 15"), "%s",
	      out);
	char *root = strstr(out, "root ");
	check(root != NULL, "%s", out);
	root[strcspn(root, "\n")] = '\0';
	check(!strstr(root, " sys") && !strstr(root, " home") && !strstr(root, " w "), "%s", root);
	run(FIELDS(FUNCTION, "arg=cat", "arg=/proc/self/mountinfo"));
	check(!strstr(out, driver.directory) && !strstr(out, "scratch/root"), "%s", out);
	run(FIELDS(FUNCTION, "arg=cat", "arg=/proc/self/cgroup"));
	check(!strstr(out, "sandbox-"), "%s", out);
}

static const char *const always_denied[] = {
	"mknod EPERM",           "write-dev EROFS",         "write-languages EROFS",
	"write-tmp allowed",     "write-shm allowed",       "rename-tmp allowed",
	"write-null allowed",    "pty allowed",             "sys ENOENT",
	"socket-unix allowed",   "socket-inet allowed",     "socket-inet6-udp allowed",
	"socket-route allowed",  "socket-netfilter EPERM",  "socket-raw EPERM",
	"socket-mptcp EPERM",    "socket-packet EPERM",     "socket-alg EPERM",
	"socket-vsock EPERM",    "socket-alg-high-bits EPERM",
	"ptrace EPERM",          "process_vm_readv EPERM",  "pidfd_getfd EPERM",
	"bpf EPERM",             "perf_event_open EPERM",   "userfaultfd EPERM",
	"io_uring_setup EPERM",  "keyctl EPERM",            "add_key EPERM",
	"open_by_handle_at EPERM", "finit_module EPERM",    "kexec_load EPERM",
	"syslog EPERM",          "personality EPERM",       "prctl-mm EPERM",
	"tiocsti EPERM",         "tiocsti-high-bits EPERM", "sethostname EPERM",
	"splice ENOSYS",         "vmsplice ENOSYS",         "unshare-user EPERM",
	"unshare-mount EPERM",   "unshare-net EPERM",       "clone-user EPERM",
	"clone3-user ENOSYS",    "setns EPERM",             "chroot EPERM",
	"pivot_root EPERM",      "mount EPERM",             "umount-proc EPERM",
	"open_tree EPERM",       "fsopen EPERM",            "nice EACCES",
	NULL,
};

static void forbidden_things_are_refused(void)
{
	check(run(FIELDS(FUNCTION, "arg=try")).status == 0, "%s%s", out, err);
	expect_lines(always_denied);
	/* With a single id pid 1 has the same one; the kernel then drops the signal silently. */
	check(has_line(single() ? "kill-init allowed" : "kill-init EPERM"), "%s", out);
	expect_lines(FIELDS("write-root EROFS", "write-etc EROFS", "proc-1-environ ENOENT",
	                    "proc-1-root ENOENT", "proc-1-mem ENOENT"));
	check(!has_line("core_pattern allowed") && !has_line("sysrq allowed") &&
	              !has_line("kcore allowed") && !has_line("keys allowed"), "%s", out);
	check(run(FIELDS(BUILD, "arg=try")).status == 0, "%s%s", out, err);
	expect_lines(always_denied);
	expect_lines(FIELDS("write-root allowed"));
	check(!has_line("core_pattern allowed") && !has_line("sysrq allowed") &&
	              !has_line("proc-1-environ allowed") && !has_line("proc-1-root allowed"),
	      "%s", out);
	remove_work("up");
	check(run(FIELDS(FUNCTION, "arg=x32")).signal == SIGSYS, "x32 was not killed");
}

static void a_build_is_root_with_few_capabilities(void)
{
	check(run(FIELDS(BUILD, "arg=show")).status == 0, "%s%s", out, err);
	expect_lines(FIELDS("uid 0 0", "fds 0 1 2", "CapInh 0000000000000000",
	                    "CapEff 00000000000000fb", "CapBnd 00000000000000fb", "NoNewPrivs 1",
	                    "Seccomp 2", "devices lo"));
	remove_work("up");
}

static void a_container_is_root_with_a_few_more(void)
{
	check(run(FIELDS("profile=container", "layer=base", "upper=up", "arg=/bin/probe", "arg=show",
	                 "hostname=box"))
	                      .status == 0,
	      "%s%s", out, err);
	expect_lines(FIELDS("uid 0 0", "fds 0 1 2", "hostname box", "CapInh 0000000000000000",
	                    "CapEff 00000000800005fb", "CapBnd 00000000800005fb", "NoNewPrivs 1",
	                    "Seccomp 2", "devices lo"));
	check(run(FIELDS("profile=container", "layer=base", "upper=up", "arg=/bin/probe", "arg=try"))
	                      .status == 0,
	      "%s%s", out, err);
	expect_lines(always_denied);
	check(!has_line("core_pattern allowed") && !has_line("sysrq allowed") &&
	              !has_line("proc-1-environ allowed") && !has_line("proc-1-root allowed"),
	      "%s", out);
	remove_work("up");
}

static void the_root_is_made_of_its_layers(void)
{
	run(FIELDS(FUNCTION, "layer=second", "arg=cat", "arg=/etc/name"));
	check(!strcmp(out, "second\n"), "%s", out);
	run(FIELDS(FUNCTION, "code-layer=code1", "arg=cat", "arg=/function/b"));
	check(!strcmp(out, "1b\n"), "%s", out);
	run(FIELDS(FUNCTION, "code-layer=code1", "code-layer=code2", "arg=cat", "arg=/function/b"));
	check(!strcmp(out, "2b\n"), "%s", out);
	run(FIELDS(FUNCTION, "code-layer=code1", "code-layer=code2", "arg=cat", "arg=/function/a"));
	check(!strcmp(out, "1a\n"), "%s", out);
	check(run(FIELDS(FUNCTION, "code-layer=code1", "arg=write", "arg=/function/a", "arg=x"))
	                      .status == 1 && strstr(out, "EROFS"), "%s", out);
	run(FIELDS(FUNCTION, "arg=cat", "arg=/.wafer/marker"));
	check(!strcmp(out, "languages\n"), "%s", out);
	run(FIELDS(FUNCTION, "hosts=10.0.0.1 there\n", "arg=cat", "arg=/etc/hosts"));
	check(!strcmp(out, "10.0.0.1 there\n"), "%s", out);
	run(FIELDS(FUNCTION, "resolv=nameserver 127.0.0.1\n", "arg=cat", "arg=/etc/resolv.conf"));
	check(!strcmp(out, "nameserver 127.0.0.1\n"), "%s", out);
	check(run(FIELDS(FUNCTION, "tmp=65536", "arg=flood", "arg=0")).status == 0, "%s", err);
	run(FIELDS(FUNCTION, "env=A=1 2", "arg=env", "arg=A"));
	check(!strcmp(out, "1 2\n"), "%s", out);
	run(FIELDS("profile=function", "layer=base", "arg=probe", "arg=env", "arg=PATH"));
	check(!strcmp(out, "(unset)\n"), "%s", out);
	run(FIELDS(FUNCTION, "cwd=/etc", "arg=cat", "arg=name"));
	check(!strcmp(out, "base\n"), "%s", out);
}

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

static void a_build_writes_into_its_upper(void)
{
	check(run(FIELDS(BUILD, "arg=write", "arg=/etc/new", "arg=one")).status == 0, "%s", out);
	check(run(FIELDS(BUILD, "arg=cat", "arg=/etc/new")).status == 0, "%s", out);
	check(!strcmp(out, "one"), "%s", out);
	check(run(FIELDS(BUILD, "mount-ro=ca.pem:/etc/ssl/ca.pem", "arg=cat", "arg=/etc/ssl/ca.pem"))
	                      .status == 0, "%s", out);
	check(!strcmp(out, "certificate\n"), "%s", out);
	check(run(FIELDS(BUILD, "mount-ro=ca.pem:/etc/ssl/ca.pem", "arg=write",
	                 "arg=/etc/ssl/ca.pem", "arg=x")).status == 1, "%s", out);
	check(strstr(out, "EROFS"), "%s", out);
	check(run(FIELDS(BUILD, "arg=write", "arg=/etc/hosts", "arg=x")).status == 1, "%s", out);
	check(run(FIELDS(BUILD, "hosts=again", "arg=cat", "arg=/etc/hosts")).status == 0, "%s", out);
	check(!strcmp(out, "again"), "%s", out);
	check(run(FIELDS(BUILD, "code-layer=code1", "arg=cat", "arg=/function/a")).status == 0, "%s",
	      out);
	remove_work("up");
}

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

/* ---- nothing is left ---- */

struct inventory {
	int fds, children, mounts, groups, names;
};

static int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	int lines = 0, c;
	while (file && (c = fgetc(file)) != EOF)
		lines += c == '\n';
	if (file)
		fclose(file);
	return lines;
}

static int count_groups(void)
{
	char path[128], prefix[32];
	int count = 0;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/memory/wafer/%u", getuid());
	snprintf(prefix, sizeof(prefix), "sandbox-%d-", driver.engine);
	DIR *directory = opendir(path);
	struct dirent *entry;
	while (directory && (entry = readdir(directory)))
		count += !strncmp(entry->d_name, prefix, strlen(prefix));
	if (directory)
		closedir(directory);
	return count;
}

static struct inventory take_inventory(void)
{
	char path[64];
	size_t layers, works;
	/* What goes on behind the answers comes to an end. */
	struct message reply = driver_ask(&driver, FIELDS("op=stats"));
	while (strcmp(field(&reply, "background"), "0")) {
		message_free(&reply);
		reply = driver_ask(&driver, FIELDS("op=stats"));
	}
	struct inventory inventory = { .fds = atoi(field(&reply, "fds")),
		                           .children = atoi(field(&reply, "children")) };
	message_free(&reply);
	reply = driver_ask(&driver, FIELDS("op=list"));
	free(message_all(&reply, "layer", &layers));
	free(message_all(&reply, "work", &works));
	message_free(&reply);
	inventory.names = (int)(layers + works);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", driver.engine);
	inventory.mounts = count_lines(path);
	inventory.groups = count_groups();
	return inventory;
}

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

static void destroy(const char *id)
{
	char pair[64];
	snprintf(pair, sizeof(pair), "id=%s", id);
	struct message reply = driver_ask(&driver, FIELDS("op=destroy", pair));
	check(message_get(&reply, "ok"), "%s", field(&reply, "message"));
	message_free(&reply);
	take_exit(id);
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

static int children_of(pid_t engine, pid_t *pids, int most);
static void wait_until_gone(pid_t pid);

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

static void wait_until_gone(pid_t pid)
{
	const struct timespec moment = { 0, 5000000 };
	for (int i = 0; i < 4000; i++) {
		if (kill(pid, 0) && errno == ESRCH)
			return;
		nanosleep(&moment, NULL);
	}
	check(false, "process %d lives on", pid);
}

/* Every process whose parent is the engine. */
static int children_of(pid_t engine, pid_t *pids, int most)
{
	char path[64];
	int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", engine, engine);
	FILE *file = fopen(path, "re");
	while (file && count < most && fscanf(file, "%d", &pids[count]) == 1)
		count++;
	if (file)
		fclose(file);
	return count;
}

/* Waits until the process sleeps: it has set itself up. A process stopped before its first instruction could not. */
static void wait_until_asleep(pid_t pid)
{
	char path[64], state = '?';
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; state != 'S' && i < 4000; i++) {
		FILE *file = fopen(path, "re");
		if (file) {
			if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
				state = '?';
			fclose(file);
		}
		if (state != 'S')
			nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	}
	check(state == 'S', "process %d is not asleep but %c", pid, state);
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

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
#define TEST(name) { #name, name }
	TEST(a_function_sees_only_its_own_world),
	TEST(forbidden_things_are_refused),
	TEST(a_build_is_root_with_few_capabilities),
	TEST(a_container_is_root_with_a_few_more),
	TEST(the_root_is_made_of_its_layers),
	TEST(attach_shows_code_in_a_live_function_once),
	TEST(attach_is_for_functions_without_code_only),
	TEST(attach_changes_the_size_of_tmp),
	TEST(attach_takes_no_file_of_tmp_away),
	TEST(a_build_writes_into_its_upper),
	TEST(bad_requests_are_refused_and_leave_nothing),
	TEST(ends_are_reported_as_they_were),
	TEST(output_arrives_whole),
	TEST(the_control_connection_is_descriptor_3),
	TEST(memory_has_a_limit),
	TEST(attach_brings_the_limits),
	TEST(processes_have_a_limit),
	TEST(exec_runs_another_program),
	TEST(stats_count_what_runs),
	TEST(a_build_can_be_packed_and_unpacked),
	TEST(many_sandboxes_leave_nothing),
	TEST(no_two_functions_share_a_network),
	TEST(functions_start_without_the_helper),
	TEST(everything_dies_with_the_engine),
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
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (count > 4 && strcmp(values[4], tests[i].name))
			continue;
		struct inventory before = take_inventory();
		bool restarts = tests[i].run == everything_dies_with_the_engine;
		tests[i].run();
		struct inventory after = take_inventory();
		check(restarts || !memcmp(&before, &after, sizeof(before)), "%s left something: fds %d %d, "
		      "children %d %d, names %d %d", tests[i].name, before.fds, after.fds,
		      before.children, after.children, before.names, after.names);
		printf("ok %s\n", tests[i].name);
	}
	driver_stop(&driver);
	driver_remove(&driver);
	return 0;
}
