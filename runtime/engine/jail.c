/*
 * Theory of operation
 *
 *   job (forked by the engine; all capabilities over the engine's ids)
 *     `- jailed child: own mount, net and ipc namespace; the target directory is
 *        bound onto itself (nosuid, nodev, noexec) and becomes the root by
 *        pivot_root, the old root is detached. Then descriptors, rlimits,
 *        capabilities, seccomp. Only after the last step is the first hostile byte read.
 *
 * The child changes into the target by descriptor *before* unshare(CLONE_NEWNS):
 * the kernel moves the working directory along into the copied mount tree, so no
 * path of the host is looked up.
 */
#define _GNU_SOURCE
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { JAIL_NOFILE = 1200 };

#define CAP_BIT(cap) (1ULL << (cap))

int job_fail(struct job_result *result, const char *step, const char *format, ...) {
	va_list args;
	int saved = errno;

	snprintf(result->step, sizeof(result->step), "%s", step);
	va_start(args, format);
	errno = saved;
	vsnprintf(result->message, sizeof(result->message), format, args);
	va_end(args);
	return -1;
}

int drop_capabilities(unsigned long long keep_mask) {
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (unsigned long cap = 0; cap < 64; cap++) {
		if (!(keep_mask & CAP_BIT(cap)) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return -1;
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	data[0].effective = data[0].permitted = (unsigned int)keep_mask;
	data[1].effective = data[1].permitted = (unsigned int)(keep_mask >> 32);
	if (syscall(SYS_capset, &header, data) != 0)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int compare_ints(const void *a, const void *b) {
	int left = *(const int *)a, right = *(const int *)b;

	return (left > right) - (left < right);
}

int close_other_fds(const int *keep, int n_keep) {
	int sorted[16];
	unsigned int from = 3;

	if (n_keep > (int)(sizeof(sorted) / sizeof(sorted[0]))) {
		errno = EINVAL;
		return -1;
	}
	for (int i = 0; i < n_keep; i++)
		sorted[i] = keep[i];
	qsort(sorted, (size_t)n_keep, sizeof(sorted[0]), compare_ints);
	for (int i = 0; i < n_keep; i++) {
		if (sorted[i] < (int)from)
			continue;
		if (sorted[i] > (int)from && close_range(from, (unsigned int)sorted[i] - 1, 0) != 0)
			return -1;
		from = (unsigned int)sorted[i] + 1;
	}
	return close_range(from, ~0U, 0);
}

static int hide_host(int dirfd, struct job_result *result) {
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
	CLEANUP_FD int tree = -1;

	if (fchdir(dirfd) != 0)
		return job_fail(result, "jail", "cannot enter the directory: %m");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) != 0)
		return job_fail(result, "jail", "cannot make namespaces: %m");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return job_fail(result, "jail", "cannot make mounts private: %m");
	tree = open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return job_fail(result, "jail", "cannot clone the directory's mount: %m");
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
		return job_fail(result, "jail", "cannot restrict the mount: %m");
	if (move_mount(tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) != 0 || fchdir(tree) != 0)
		return job_fail(result, "jail", "cannot mount the directory: %m");
	if (syscall(SYS_pivot_root, ".", ".") != 0)
		return job_fail(result, "jail", "cannot pivot into the directory: %m");
	if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return job_fail(result, "jail", "cannot detach the host: %m");
	return 0;
}

/*
 * The sandbox's mounts and ids, without its network and processes: the child reaches no more than the guest itself
 * does, and the guest does not reach the child. Mounts first; entering them takes the engine's capabilities.
 */
static int enter_sandbox(const struct inside *inside, struct job_result *result) {
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) != 0)
		return job_fail(result, "jail", "cannot make namespaces: %m");
	if (setns(inside->mounts, CLONE_NEWNS) != 0 || chdir("/") != 0)
		return job_fail(result, "jail", "cannot enter the sandbox's mounts: %m");
	if (setns(inside->users, CLONE_NEWUSER) != 0)
		return job_fail(result, "jail", "cannot enter the sandbox's user namespace: %m");
	if ((!inside->single && setgroups(0, NULL) != 0) || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		return job_fail(result, "jail", "cannot become root of the sandbox: %m");
	return 0;
}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp architecture for this machine"
#endif

/* Jailed work reads, writes and names files. These calls, or any of another ABI, mean that it was taken over. */
static const unsigned int forbidden_calls[] = {
#ifdef SYS_fork
    SYS_fork,       SYS_vfork,
#endif
    SYS_clone,      SYS_clone3,        SYS_execve,      SYS_execveat,      SYS_unshare,    SYS_setns,
    SYS_mount,      SYS_umount2,       SYS_pivot_root,  SYS_chroot,        SYS_open_tree,  SYS_move_mount,
    SYS_fsopen,     SYS_fspick,        SYS_fsconfig,    SYS_mount_setattr, SYS_ptrace,     SYS_socket,
    SYS_socketpair, SYS_bpf,           SYS_keyctl,      SYS_add_key,       SYS_request_key, SYS_userfaultfd,
    SYS_io_uring_setup, SYS_perf_event_open, SYS_process_vm_writev, SYS_pidfd_getfd,
};

static int forbid_calls(void) {
	enum { N = sizeof(forbidden_calls) / sizeof(forbidden_calls[0]), HEAD = 5 };
	struct sock_filter filter[HEAD + N + 2] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, N + 1, 0), /* x32 */
	};
	struct sock_fprog program = {.len = HEAD + N + 2, .filter = filter};

	for (int i = 0; i < N; i++)
		filter[HEAD + i] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden_calls[i], (unsigned char)(N - i), 0);
	filter[HEAD + N] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[HEAD + N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int drop_power(const int *keep, int n_keep, struct job_result *result) {
	const struct rlimit core = {0, 0}, files = {JAIL_NOFILE, JAIL_NOFILE};
	const unsigned long long caps =
	    CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID);

	if (close_other_fds(keep, n_keep) != 0)
		return job_fail(result, "jail", "cannot close descriptors: %m");
	if (setrlimit(RLIMIT_CORE, &core) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0)
		return job_fail(result, "jail", "cannot set limits: %m");
	if (drop_capabilities(caps) != 0)
		return job_fail(result, "jail", "cannot drop capabilities: %m");
	if (forbid_calls() != 0)
		return job_fail(result, "jail", "cannot install the seccomp filter: %m");
	return 0;
}

/* One of the two. */
struct world {
	int dirfd;
	const struct inside *inside;
};

static int jailed(const struct world *world, const int *keep, int n_keep, jail_work work, void *context, struct job_result *result) {
	CLEANUP_FD int root = -1;

	umask(0);
	if ((world->inside ? enter_sandbox(world->inside, result) : hide_host(world->dirfd, result)) != 0 ||
	    drop_power(keep, n_keep, result) != 0)
		return -1;
	root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return job_fail(result, "jail", "cannot open the root: %m");
	return work(root, context, result);
}

/* The signal mask and dispositions come from the engine; a jailed child wants the plain ones. */
static void child_setup(pid_t parent) {
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
}

static int run_in(const struct world *world, const int *keep, int n_keep, jail_work work, void *context,
                  struct job_result *result) {
	struct job_result *shared;
	pid_t parent = getpid(), child;
	int status = 0, failed;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return job_fail(result, "jail", "cannot map the result: %m");
	*shared = *result;
	child = fork();
	if (child == 0) {
		child_setup(parent);
		_exit(jailed(world, keep, n_keep, work, context, shared) == 0 ? 0 : 1);
	}
	if (child < 0) {
		munmap(shared, sizeof(*shared));
		return job_fail(result, "jail", "cannot fork: %m");
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	*result = *shared;
	munmap(shared, sizeof(*shared));
	result->step[sizeof(result->step) - 1] = result->message[sizeof(result->message) - 1] = '\0';
	if (WIFSIGNALED(status))
		return job_fail(result, "jail", "the jailed process died of signal %d", WTERMSIG(status));
	failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	if (failed && result->message[0] == '\0')
		return job_fail(result, "jail", "the jailed process failed without a message");
	return failed ? -1 : 0;
}

int jail_run(int dirfd, const int *keep, int n_keep, jail_work work, void *context, struct job_result *result) {
	const struct world world = {.dirfd = dirfd};

	return run_in(&world, keep, n_keep, work, context, result);
}

int jail_run_inside(const struct inside *inside, const int *keep, int n_keep, jail_work work, void *context,
                    struct job_result *result) {
	const struct world world = {.dirfd = -1, .inside = inside};

	return run_in(&world, keep, n_keep, work, context, result);
}
