/* What the tests run inside sandboxes: looks around, tries things, prints `name value` lines. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void show_status(void)
{
	static const char *const keys[] = { "CapInh", "CapPrm", "CapEff", "CapBnd",
		                                "CapAmb", "NoNewPrivs", "Seccomp:", "Groups" };
	char line[512];
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (!strncmp(line, keys[i], strlen(keys[i]))) {
				char *value = strchr(line, ':') + 1;
				value += strspn(value, " \t");
				value[strcspn(value, "\n")] = '\0';
				printf("%.*s %s\n", (int)strcspn(keys[i], ":"), keys[i], value);
			}
	if (file)
		fclose(file);
}

static void show_list(const char *name, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	printf("%s", name);
	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' || entry->d_name[1] == 'w')
			printf(" %s", entry->d_name);
	printf("\n");
	if (directory)
		closedir(directory);
}

static void show_fds(void)
{
	printf("fds");
	for (int fd = 0; fd < 65536; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\n");
}

/* The kernel stacks 16 Landlock domains: those that fit on top tell how many there were. */
static int free_landlock_domains(void)
{
	struct {
		uint64_t files;
	} attr = { 1ULL << 6 /* LANDLOCK_ACCESS_FS_MAKE_CHAR */ };
	int made = 0;
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	while (fd >= 0 && made < 32 && !syscall(SYS_landlock_restrict_self, fd, 0))
		made++;
	close(fd);
	return made;
}

static void show_file(const char *name, const char *path)
{
	char text[128] = "";
	int fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0)
		text[strcspn(text, "\n")] = '\0';
	printf("%s %s\n", name, text);
	close(fd);
}

static int show(void)
{
	char text[4096];
	struct if_nameindex *devices = if_nameindex();
	show_fds();
	printf("uid %d %d\n", getuid(), geteuid());
	printf("gid %d %d groups %d\n", getgid(), getegid(), getgroups(0, NULL));
	printf("pid %d ppid %d sid %d\n", getpid(), getppid(), getsid(0));
	printf("cwd %s\n", getcwd(text, sizeof(text)));
	gethostname(text, sizeof(text));
	printf("hostname %s\n", text);
	printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
	show_status();
	printf("devices");
	for (struct if_nameindex *device = devices; device && device->if_name; device++)
		printf(" %s", device->if_name);
	printf("\n");
	show_file("oom_score_adj", "/proc/self/oom_score_adj");
	show_file("max_user_namespaces", "/proc/sys/user/max_user_namespaces");
	show_file("max_mnt_namespaces", "/proc/sys/user/max_mnt_namespaces");
	printf("free-landlock-domains %d\n", free_landlock_domains());
	show_list("root", "/");
	show_list("dev", "/dev");
	show_list("proc", "/proc");
	struct rlimit limit;
	getrlimit(RLIMIT_CORE, &limit);
	printf("core %llu\n", (unsigned long long)limit.rlim_max);
	getrlimit(RLIMIT_NOFILE, &limit);
	printf("nofile %llu\n", (unsigned long long)limit.rlim_max);
	return 0;
}

/* Which one it is, and what a connection to nobody on `lo` says. */
static int show_network(void)
{
	char name[64] = "";
	struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_port = htons(9) };
	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int refused = connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)) && errno == ECONNREFUSED;
	if (readlink("/proc/self/ns/net", name, sizeof(name) - 1) < 0)
		return 1;
	printf("%s %s\n", name, refused ? "up" : "down");
	for (;;)
		pause();
}

static int cat(const char *path)
{
	char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t got;
	if (fd < 0) {
		printf("%s: %s\n", path, strerror(errno));
		return 1;
	}
	while ((got = read(fd, text, sizeof(text))) > 0)
		if (write(1, text, (size_t)got) != got)
			return 1;
	return got < 0;
}

static void tell(const char *name, long result)
{
	printf("%s %s\n", name, result >= 0 ? "allowed" : strerrorname_np(errno));
	if (result > 0 && result < 1024)
		close((int)result);
}

/* A file of /proc under which /dev/null lies is as good as none. */
static long open_unless_null(const char *path, int flags)
{
	struct stat status;
	int fd = open(path, flags);
	if (fd >= 0 && !fstat(fd, &status) && status.st_rdev == makedev(1, 3)) {
		close(fd);
		errno = ENOENT;
		return -1;
	}
	return fd;
}

static long clone3_userns(void)
{
	struct clone_args arguments = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	return syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static void try_namespaces(void)
{
	tell("unshare-user", unshare(CLONE_NEWUSER));
	tell("unshare-mount", unshare(CLONE_NEWNS));
	tell("unshare-net", unshare(CLONE_NEWNET));
	tell("clone-user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	tell("clone3-user", clone3_userns());
	int fd = open("/proc/self/ns/mnt", O_RDONLY);
	tell("setns", setns(fd, 0));
	tell("chroot", chroot("/tmp"));
	tell("pivot_root", syscall(SYS_pivot_root, ".", "."));
	tell("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	tell("umount-proc", umount2("/proc", MNT_DETACH));
	tell("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	tell("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
}

static void try_processes(void)
{
	char byte;
	struct iovec part = { &byte, 1 };
	tell("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	tell("process_vm_readv", process_vm_readv(1, &part, 1, &part, 1, 0));
	tell("kill-init", kill(1, SIGKILL) ? -1 : 0);
	tell("pidfd_getfd", syscall(SYS_pidfd_getfd, 0, 0, 0));
	tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
	tell("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	tell("userfaultfd", syscall(SYS_userfaultfd, 0));
	tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	tell("keyctl", syscall(SYS_keyctl, 0, 0));
	tell("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -3));
	tell("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
	tell("finit_module", syscall(SYS_finit_module, 0, "", 0));
	tell("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	tell("syslog", syscall(SYS_syslog, 3, &byte, 1));
	tell("personality", syscall(SYS_personality, 0x0040000));
	tell("prctl-mm", prctl(PR_SET_MM, 1, 0, 0, 0));
	tell("tiocsti", ioctl(0, TIOCSTI, "x"));
	tell("tiocsti-high-bits", syscall(SYS_ioctl, 0, 0x100000000UL | TIOCSTI, "x"));
	tell("nice", setpriority(PRIO_PROCESS, 0, -5));
	tell("sethostname", sethostname("x", 1));
	tell("splice", syscall(SYS_splice, 0, NULL, 1, NULL, 1, 0));
	tell("vmsplice", syscall(SYS_vmsplice, 1, &part, 1, 0));
}

static void try_sockets(void)
{
	tell("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
	tell("socket-inet", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
	tell("socket-inet6-udp", socket(AF_INET6, SOCK_DGRAM, 0));
	tell("socket-route", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	tell("socket-netfilter", socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
	tell("socket-raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	tell("socket-mptcp", socket(AF_INET, SOCK_STREAM, 262));
	tell("socket-packet", socket(AF_PACKET, SOCK_RAW, 0));
	tell("socket-alg", socket(38, SOCK_SEQPACKET, 0));
	tell("socket-vsock", socket(40, SOCK_STREAM, 0));
	tell("socket-alg-high-bits", syscall(SYS_socket, 0x100000026UL, SOCK_SEQPACKET, 0));
}

static void try_files(void)
{
	tell("mknod", mknod("/tmp/null", S_IFCHR | 0666, makedev(1, 3)));
	tell("write-root", open("/written", O_CREAT | O_WRONLY, 0644));
	tell("write-etc", open("/etc/name", O_WRONLY));
	tell("write-dev", open("/dev/written", O_CREAT | O_WRONLY, 0644));
	tell("write-tmp", open("/tmp/written", O_CREAT | O_WRONLY, 0644));
	tell("write-shm", open("/dev/shm/written", O_CREAT | O_WRONLY, 0644));
	tell("rename-tmp", mkdir("/tmp/d", 0700) | rename("/tmp/written", "/tmp/d/moved"));
	tell("write-null", open("/dev/null", O_WRONLY));
	tell("write-languages", open("/.wafer/x", O_CREAT | O_WRONLY, 0644));
	tell("sys", open("/sys", O_RDONLY));
	tell("proc-1-environ", open("/proc/1/environ", O_RDONLY));
	tell("proc-1-root", open("/proc/1/root", O_RDONLY));
	tell("proc-1-mem", open("/proc/1/mem", O_RDWR));
	tell("core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	tell("sysrq", open_unless_null("/proc/sysrq-trigger", O_WRONLY));
	tell("kcore", open_unless_null("/proc/kcore", O_RDONLY));
	tell("keys", open_unless_null("/proc/keys", O_RDONLY));
	tell("pty", open("/dev/ptmx", O_RDWR | O_NOCTTY));
}

static int eat(unsigned long megabytes)
{
	for (unsigned long i = 0; i < megabytes; i++) {
		char *block = malloc(1 << 20);
		if (!block)
			return 3;
		memset(block, (int)i, 1 << 20);
		usleep(2000);
	}
	printf("ate %lu\n", megabytes);
	return 0;
}

static int fork_many(int most, bool hold)
{
	int made = 0;
	while (made < most) {
		pid_t pid = fork();
		if (pid < 0)
			break;
		if (pid == 0) {
			setsid();
			pause();
		}
		made++;
	}
	printf("made %d %s\n", made, made < most ? strerrorname_np(errno) : "all");
	while (hold)
		pause();
	return 0;
}

static int flood(unsigned long bytes)
{
	static char block[10000];
	memset(block, 'x', sizeof(block));
	while (bytes > 0) {
		size_t part = bytes < sizeof(block) ? bytes : sizeof(block);
		ssize_t written = write(1, block, part);
		if (written < 0)
			return 1;
		bytes -= (unsigned long)written;
	}
	return 0;
}

/* Into a file of /tmp; tells how much of it went in. */
static int fill_tmp(unsigned long bytes, bool hold)
{
	static const char block[4096];
	unsigned long written = 0;
	int fd = open("/tmp/fill", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while (written < bytes && write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		written += sizeof(block);
	printf("filled %lu %s\n", written, written < bytes ? strerrorname_np(errno) : "all");
	fflush(stdout);
	while (hold)
		pause();
	return 0;
}

static int talk_tcp(const char *address, int port)
{
	struct sockaddr_in target = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	char text[256];
	inet_pton(AF_INET, address, &target.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&target, sizeof(target))) {
		printf("connect %s\n", strerrorname_np(errno));
		return 1;
	}
	if (write(fd, "hello", 5) != 5 || shutdown(fd, SHUT_WR))
		return 1;
	ssize_t got = read(fd, text, sizeof(text) - 1);
	printf("got %.*s\n", got > 0 ? (int)got : 0, text);
	return 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return 1;
	}
	return 0;
}

/* Device and inode of a mapped file, by stat and by the map of this process. */
static int show_device(const char *path)
{
	char line[512], device[32];
	unsigned long inode;
	struct stat status;
	FILE *maps = fopen("/proc/self/maps", "r");
	if (!maps || stat(path, &status))
		return 1;
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, path) && sscanf(line, "%*s %*s %*s %31s %lu", device, &inode) == 2)
			return printf("%02x:%02x.%lu %s.%lu\n", major(status.st_dev), minor(status.st_dev),
			              (unsigned long)status.st_ino, device, inode) < 0;
	return 1;
}

static int x32_call(void)
{
#ifdef __x86_64__
	return (int)syscall(0x40000000 | 39);
#else
	return kill(getpid(), SIGSYS);
#endif
}

int main(int count, char **values)
{
	const char *what = count > 1 ? values[1] : "";
	const char *a = count > 2 ? values[2] : "", *b = count > 3 ? values[3] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "show"))
		return show();
	if (!strcmp(what, "try")) {
		try_files();
		try_sockets();
		try_processes();
		try_namespaces();
		return 0;
	}
	if (!strcmp(what, "network"))
		return show_network();
	if (!strcmp(what, "cat"))
		return cat(a);
	if (!strcmp(what, "device"))
		return show_device(a);
	if (!strcmp(what, "write"))
		return write_file(a, b);
	if (!strcmp(what, "exit"))
		return atoi(a);
	if (!strcmp(what, "signal"))
		return kill(getpid(), atoi(a));
	if (!strcmp(what, "sleep")) {
		printf("sleeping\n");
		for (;;)
			pause();
	}
	if (!strcmp(what, "eat"))
		return eat(strtoul(a, NULL, 10));
	if (!strcmp(what, "child-eats")) {
		if (fork() == 0)
			return eat(strtoul(a, NULL, 10));
		for (;;)
			pause();
	}
	if (!strcmp(what, "fork"))
		return fork_many(atoi(a), *b);
	if (!strcmp(what, "fill") || !strcmp(what, "fill-hold"))
		return fill_tmp(strtoul(a, NULL, 10), what[4] != '\0');
	if (!strcmp(what, "flood"))
		return flood(strtoul(a, NULL, 10));
	if (!strcmp(what, "stat")) {
		struct stat status;
		if (stat(a, &status))
			return printf("%s\n", strerrorname_np(errno)) < 0;
		return printf("%o %u %u\n", status.st_mode, status.st_uid, status.st_gid) < 0;
	}
	if (!strcmp(what, "echo")) {
		dprintf(1, "%s", a);
		dprintf(2, "%s", b);
		return 0;
	}
	if (!strcmp(what, "env"))
		return printf("%s\n", getenv(a) ? getenv(a) : "(unset)") < 0;
	if (!strcmp(what, "control"))
		return write(3, "from inside", 11) != 11;
	if (!strcmp(what, "tcp"))
		return talk_tcp(a, atoi(b));
	if (!strcmp(what, "x32"))
		return x32_call();
	if (!strcmp(what, "true"))
		return 0;
	fprintf(stderr, "probe: what?\n");
	return 2;
}
