/* What a program sees of the machine, and what is forbidden to it. */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine_tests.h"

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

/*
 * Older kernels show in maps the file below the overlay, so its layer's device whatever the
 * overlay is told (6.1 does, 6.18 does not): V8 shares nothing there, and there is nothing to hold.
 */
static bool maps_show_layers(const char *in_maps)
{
	char path[4096], device[32];
	struct stat layer;
	snprintf(path, sizeof(path), "%s/layers/base", driver.directory);
	check(!stat(path, &layer), "%s", path);
	snprintf(device, sizeof(device), "%02x:%02x.", major(layer.st_dev), minor(layer.st_dev));
	return !strncmp(in_maps, device, strlen(device));
}

/* What V8 looks for to share its built-in code between processes: see root.c. */
static void a_file_has_one_device_number_in_stat_and_maps(void)
{
	const char *const *const roots[] = { FIELDS(FUNCTION, "arg=device", "arg=/bin/probe"),
		                                 FIELDS(FUNCTION, "point=/data", "arg=device", "arg=/bin/probe") };
	for (size_t i = 0; i < ARRAY_LENGTH(roots); i++) {
		check(run(roots[i]).status == 0, "%s%s", out, err);
		char *maps = strchr(out, ' ');
		check(maps != NULL, "%s", out);
		if (maps_show_layers(maps + 1)) {
			skip("this kernel shows the device of the layer in maps, whatever the overlay is told");
			return;
		}
		check(!strncmp(out, maps + 1, (size_t)(maps - out)) &&
		              !strcmp(maps + 1 + (maps - out), "\n"), "stat and maps: %s", out);
	}
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

const struct test world_tests[] = {
	TEST(a_function_sees_only_its_own_world),
	TEST(forbidden_things_are_refused),
	TEST(a_build_is_root_with_few_capabilities),
	TEST(a_container_is_root_with_a_few_more),
	TEST(the_root_is_made_of_its_layers),
	TEST(a_file_has_one_device_number_in_stat_and_maps),
	TEST(a_build_writes_into_its_upper),
	{ 0 },
};
