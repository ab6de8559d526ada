/* Tries what a function may do to files, links, descriptors and its own privileges; see files.test.ts. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "tell.h"

/* `null` when /dev/null lies over it: as good as absent. */
static void try_open(const char *path, int flags)
{
	struct stat status;
	int fd = open(path, flags | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && !fstat(fd, &status) && status.st_rdev == makedev(1, 3))
		printf("%s null\n", path);
	else
		tell(path, fd);
	if (fd >= 0)
		close(fd);
}

static void try_proc(void)
{
	static const char *const readable[] = {
		"/proc/1/environ", "/proc/1/root",  "/proc/1/cwd",        "/proc/1/exe",     "/proc/1/fd",
		"/proc/1/maps",    "/proc/1/mem",   "/proc/1/status",     "/proc/1/cmdline", "/proc/kcore",
		"/proc/kmsg",      "/proc/keys",    "/proc/timer_list",   "/proc/kallsyms",  "/proc/kpagecount",
		"/proc/scsi/scsi", "/sys/firmware", "/sys/fs/cgroup",     "/sys/kernel",     "/dev/kvm",
		"/dev/mem",        "/dev/fuse",     "/dev/net/tun",       "/dev/vsock",      "/dev/tty",
		"/dev/console",    "/dev/loop-control", "/dev/vda",       "/dev/kmsg",       "/dev/port",
	};
	static const char *const writable[] = {
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
		"/proc/sys/fs/binfmt_misc/register", "/proc/sys/user/max_user_namespaces",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/ns_last_pid", "/proc/sysrq-trigger",
		"/proc/self/exe", "/proc/1/oom_score_adj", "/.wafer/node/build/main.cjs", "/function/files", "/etc/hosts", "/etc/resolv.conf",
	};
	for (size_t i = 0; i < sizeof(readable) / sizeof(*readable); i++)
		try_open(readable[i], O_RDONLY);
	for (size_t i = 0; i < sizeof(writable) / sizeof(*writable); i++)
		try_open(writable[i], O_WRONLY);
	int map = open("/proc/self/uid_map", O_WRONLY);
	tell("write-uid-map", map < 0 ? map : write(map, "0 1000 1\n", 9));
	/* Only ever towards being killed first. */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	tell("oom-score-lower", fd < 0 ? fd : write(fd, "-1000", 5));
}

static void try_links(void)
{
	char path[64];
	tell("link-base-file", link("/usr/bin/env", "/tmp/env"));
	tell("link-code-file", link("/function/files", "/tmp/files"));
	tell("rename-base-file", rename("/usr/bin/env", "/tmp/env"));
	tell("unlink-base-file", unlink("/usr/bin/env"));
	tell("chmod-base-file", chmod("/usr/bin/env", 0777));
	tell("chown-tmp", chown("/tmp", 1000, 1000));
	tell("xattr-base-file", syscall(SYS_setxattr, "/usr/bin/env", "user.x", "y", 1, 0));
	tell("tmpfile-root", open("/", O_TMPFILE | O_RDWR, 0600));
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	tell("tmpfile-to-root", linkat(AT_FDCWD, path, AT_FDCWD, "/usr/bin/planted", AT_SYMLINK_FOLLOW));
	tell("tmpfile-to-code", linkat(AT_FDCWD, path, AT_FDCWD, "/function/planted", AT_SYMLINK_FOLLOW));
	tell("whiteout-base", syscall(SYS_renameat2, AT_FDCWD, "/usr/bin/env", AT_FDCWD, "/usr/bin/x", 4));
	close(open("/tmp/white", O_CREAT | O_WRONLY, 0600));
	tell("whiteout-tmp", syscall(SYS_renameat2, AT_FDCWD, "/tmp/white", AT_FDCWD, "/tmp/moved", 4));
	/* The page cache of a shared layer must not be writable through a private mapping either. */
	int env = open("/usr/bin/env", O_RDONLY);
	tell("map-shared-write",
	     mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, env, 0) == MAP_FAILED ? -1 : 0);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, env, 0);
	if (page != MAP_FAILED)
		memset(page, 'x', 4096);
	fd = open("/proc/self/mem", O_RDWR);
	char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, env, 0);
	/* Forced writes through /proc/self/mem do not reach a shared read-only mapping. */
	tell("force-write-shared", pwrite(fd, "x", 1, (off_t)(uintptr_t)shared));
}

/* The shape of the page-cache bugs of 2026: file pages into a socket that transforms them in place. */
static void try_page_cache(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(own);
	int esp = 2, env = open("/usr/bin/env", O_RDONLY), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int alg = socket(38, SOCK_SEQPACKET, 0), pipes[2];
	tell("copy-fail-alg", alg);
	tell("copy-fail-splice", pipe(pipes) ? -1 : syscall(SYS_splice, env, NULL, pipes[1], NULL, 4096, 0));
	if (bind(udp, (struct sockaddr *)&own, length) ||
	    getsockname(udp, (struct sockaddr *)&own, &length) ||
	    connect(udp, (struct sockaddr *)&own, length))
		tell("udp-loop", -1);
	setsockopt(udp, IPPROTO_UDP, 100 /* UDP_ENCAP */, &esp, sizeof(esp));
	for (int i = 0; i < 16; i++)
		sendfile(udp, env, NULL, 1400);
	tell("dirty-frag-xfrm", socket(AF_NETLINK, SOCK_RAW, 6));
	tell("dirty-frag-rxrpc", socket(33, SOCK_DGRAM, 2));
}

static void copy_self(const char *target, mode_t mode)
{
	char buffer[65536];
	ssize_t got;
	int from = open("/proc/self/exe", O_RDONLY), to = open(target, O_CREAT | O_WRONLY | O_TRUNC, 0700);
	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)got) != got)
			break;
	tell("chmod-setuid", fchmod(to, mode));
	close(from);
	close(to);
}

static int show_ids(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	printf("ids %d:%d:%d:%d\n", getuid(), geteuid(), getgid(), getegid());
	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, "CapEff:", 7))
			printf("caps %s", line + 8);
	return 0;
}

static void show_descriptors(void)
{
	char path[64], target[256];
	for (int fd = 0; fd < 65536; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		target[strcspn(target, ":[")] = '\0';
		printf("fd-%d %s\n", fd, target);
	}
}

static int sparse(void)
{
	static char block[1 << 20];
	off_t size = 1LL << 40, got = 0;
	int fd = open("/tmp/sparse", O_CREAT | O_RDWR, 0600);
	tell("truncate-1-TiB", ftruncate(fd, size));
	for (int i = 0; i < 64; i++)
		got += pread(fd, block, sizeof(block), (off_t)i << 30);
	printf("read %lld\n", (long long)got);
	tell("write-far", pwrite(fd, block, sizeof(block), size - (1 << 20)));
	tell("fallocate-1-TiB", fallocate(fd, 0, 0, size));
	memset(block, 'x', sizeof(block));
	long written = 0;
	for (int i = 0; i < 64 && pwrite(fd, block, sizeof(block), (off_t)i << 20) == sizeof(block); i++)
		written++;
	printf("filled %s\n", written < 64 ? strerrorname_np(errno) : "all");
	printf("megabytes %ld\n", written);
	return 0;
}

static void *abort_thread(void *unused)
{
	(void)unused;
	abort();
}

static int die(const char *how)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_t thread;
	if (chdir("/tmp"))
		return 1;
	tell("raise-core-limit", setrlimit(RLIMIT_CORE, &core));
	if (!strcmp(how, "segv"))
		*(volatile int *)(uintptr_t)8 = 1;
	else if (!strcmp(how, "sys"))
		raise(SIGSYS);
	else if (!pthread_create(&thread, NULL, abort_thread, NULL))
		pthread_join(thread, NULL);
	return 0;
}

int main(int count, char **values)
{
	const char *what = count > 1 ? values[1] : "ids";
	if (!strcmp(what, "ids"))
		return show_ids();
	if (!strcmp(what, "sparse"))
		return sparse();
	if (!strcmp(what, "die"))
		return die(values[2]);
	if (!strcmp(what, "setuid")) {
		copy_self("/tmp/raised", 06777);
		return execl("/tmp/raised", "raised", "ids", NULL);
	}
	show_descriptors();
	try_proc();
	try_links();
	try_page_cache();
	return 0;
}
