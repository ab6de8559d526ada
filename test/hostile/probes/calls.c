/* Tries the system calls that no function may make; see system-calls.test.ts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/quota.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "tell.h"

/* Newer than the headers this may be built with; one number on every architecture. */
enum {
	NR_pidfd_open = 434, NR_clone3 = 435, NR_pidfd_getfd = 438, NR_process_madvise = 440,
	NR_mount_setattr = 442, NR_memfd_secret = 447, NR_cachestat = 451, NR_statmount = 457,
	NR_listmount = 458, NR_open_tree_attr = 467,
};

static char byte;
static struct iovec part = { &byte, 1 };

#define CALL(...) syscall(__VA_ARGS__)

static void try_processes(void)
{
	tell("ptrace-attach-1", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	tell("ptrace-seize-parent", ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
	tell("ptrace-traceme", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	tell("process_vm_readv-1", process_vm_readv(1, &part, 1, &part, 1, 0));
	tell("process_vm_readv-self", process_vm_readv(getpid(), &part, 1, &part, 1, 0));
	tell("process_vm_writev-self", process_vm_writev(getpid(), &part, 1, &part, 1, 0));
	tell("process_madvise", CALL(NR_process_madvise, -1, &part, 1, MADV_COLD, 0));
	tell("kcmp", CALL(SYS_kcmp, getpid(), getpid(), 0, 0, 0));
	tell("pidfd_getfd", CALL(NR_pidfd_getfd, CALL(NR_pidfd_open, getpid(), 0), 0, 0));
	tell("kill-init", kill(1, SIGKILL));
}

static void try_kernel_surface(void)
{
	char attr[128] = { 0 };
	tell("bpf", CALL(SYS_bpf, 0, attr, sizeof(attr)));
	tell("perf_event_open", CALL(SYS_perf_event_open, attr, 0, -1, -1, 0));
	tell("userfaultfd", CALL(SYS_userfaultfd, 1));
	tell("io_uring_setup", CALL(SYS_io_uring_setup, 1, attr));
	tell("io_uring_enter", CALL(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
	tell("io_uring_register", CALL(SYS_io_uring_register, -1, 0, NULL, 0));
	tell("io_setup", CALL(SYS_io_setup, 1, attr));
	tell("keyctl", CALL(SYS_keyctl, 0, -3, 0));
	tell("add_key", CALL(SYS_add_key, "user", "name", "x", 1, -3));
	tell("request_key", CALL(SYS_request_key, "user", "name", NULL, 0));
	tell("name_to_handle_at", CALL(SYS_name_to_handle_at, AT_FDCWD, "/", attr, attr + 64, 0));
	tell("open_by_handle_at", CALL(SYS_open_by_handle_at, AT_FDCWD, attr, O_RDONLY));
	tell("fanotify_init", CALL(SYS_fanotify_init, 0x200, O_RDONLY));
	tell("kexec_load", CALL(SYS_kexec_load, 0, 0, NULL, 0));
	tell("init_module", CALL(SYS_init_module, attr, sizeof(attr), ""));
	tell("finit_module", CALL(SYS_finit_module, 0, "", 0));
	tell("delete_module", CALL(SYS_delete_module, "none", 0));
	tell("syslog", CALL(SYS_syslog, 10, NULL, 0));
	tell("personality", CALL(SYS_personality, 0x0040000));
	tell("memfd_secret", CALL(NR_memfd_secret, 0));
	tell("cachestat", CALL(NR_cachestat, 0, attr, attr, 0));
#ifdef SYS_modify_ldt
	tell("modify_ldt", CALL(SYS_modify_ldt, 0, attr, sizeof(attr)));
	tell("iopl", CALL(SYS_iopl, 3));
	tell("ioperm", CALL(SYS_ioperm, 0x80, 1, 1));
#endif
	tell("vhangup", CALL(SYS_vhangup));
	tell("acct", CALL(SYS_acct, "/tmp/acct"));
	tell("move_pages", CALL(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0));
	tell("set_mempolicy", CALL(SYS_set_mempolicy, 0, NULL, 0));
}

static void try_mounts(void)
{
	char attr[64] = { 0 };
	tell("mount-tmpfs", mount("x", "/tmp", "tmpfs", 0, NULL));
	tell("mount-bind", mount("/etc", "/tmp", NULL, MS_BIND, NULL));
	tell("mount-overlay", mount("x", "/tmp", "overlay", 0, "lowerdir=/etc:/usr"));
	tell("mount-proc", mount("x", "/tmp", "proc", 0, NULL));
	tell("remount-root-rw", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	tell("umount-mask", umount2("/proc/sys", MNT_DETACH));
	tell("umount-proc", umount2("/proc", MNT_DETACH));
	tell("open_tree", CALL(SYS_open_tree, AT_FDCWD, "/", 1));
	tell("open_tree_attr", CALL(NR_open_tree_attr, AT_FDCWD, "/", 1, attr, 32));
	tell("move_mount", CALL(SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/tmp", 0));
	tell("fsopen", CALL(SYS_fsopen, "tmpfs", 0));
	tell("fsconfig", CALL(SYS_fsconfig, -1, 0, NULL, NULL, 0));
	tell("fsmount", CALL(SYS_fsmount, -1, 0, 0));
	tell("fspick", CALL(SYS_fspick, AT_FDCWD, "/", 0));
	tell("mount_setattr", CALL(NR_mount_setattr, AT_FDCWD, "/", 0, attr, 32));
	tell("statmount", CALL(NR_statmount, attr, attr, sizeof(attr), 0));
	tell("listmount", CALL(NR_listmount, attr, attr, 1, 0));
	tell("pivot_root", CALL(SYS_pivot_root, ".", "."));
	tell("chroot", chroot("/tmp"));
	tell("mknod-null", mknod("/tmp/null", S_IFCHR | 0666, makedev(1, 3)));
	tell("mknod-whiteout", mknod("/tmp/whiteout", S_IFCHR, makedev(0, 0)));
	tell("mknod-block", mknod("/tmp/block", S_IFBLK | 0666, makedev(254, 0)));
	tell("mkfifo", mkfifo("/tmp/fifo", 0600));
}

static void try_machine(void)
{
	struct timeval now = { 0 };
	struct timespec then = { 0 };
	struct sched_param parameter = { .sched_priority = 1 };
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} deadline = { 48, 6, 0, 0, 0, 1000000, 2000000, 2000000 };
	gettimeofday(&now, NULL);
	tell("settimeofday", settimeofday(&now, NULL));
	tell("clock_settime", clock_settime(CLOCK_REALTIME, &then));
	tell("adjtimex", CALL(SYS_adjtimex, NULL));
	tell("sethostname", sethostname("x", 1));
	tell("setdomainname", setdomainname("x", 1));
	tell("reboot", CALL(SYS_reboot, 0xfee1dead, 672274793, 0, NULL)); /* CAD off: harmless */
	tell("swapon", swapon("/tmp/swap", 0));
	tell("quotactl", CALL(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL));
	tell("nice", setpriority(PRIO_PROCESS, 0, -20));
	tell("nice-init", setpriority(PRIO_PROCESS, 1, 19));
	tell("sched-fifo", sched_setscheduler(0, SCHED_FIFO, &parameter));
	tell("sched-rr", sched_setscheduler(0, SCHED_RR, &parameter));
	tell("sched-deadline", CALL(SYS_sched_setattr, 0, &deadline, 0));
	tell("mlock-1-MiB", mlock(malloc(1 << 20), 1 << 20));
	tell("mlockall", mlockall(MCL_CURRENT | MCL_FUTURE));
	tell("tiocsti", ioctl(0, TIOCSTI, "x"));
	tell("tioclinux", ioctl(0, TIOCLINUX, "\2"));
	tell("prctl-mm", prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0));
	tell("prctl-ptracer", prctl(0x59616d61, -1L, 0, 0, 0));
	tell("setuid-0", setuid(0));
	tell("setgid-0", setgid(0));
	tell("setgroups", CALL(SYS_setgroups, 0, NULL));
	tell("splice", CALL(SYS_splice, 0, NULL, 1, NULL, 1, 0));
	tell("tee", CALL(SYS_tee, 0, 1, 1, 0));
	tell("vmsplice", CALL(SYS_vmsplice, 1, &part, 1, 0));
}

static long clone_user(void) { return CALL(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }
static long clone_mount(void) { return CALL(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0); }
static long clone_high(void) { return CALL(SYS_clone, 0x100000000L | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }
static long clone3_user(void)
{
	struct clone_args arguments = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	return CALL(NR_clone3, &arguments, sizeof(arguments));
}
static long unshare_user(void) { return unshare(CLONE_NEWUSER); }
static long unshare_time(void) { return unshare(0x80); }
static long unshare_files(void) { return unshare(CLONE_FILES); }
#ifdef __x86_64__
static long unshare_x32(void) { return CALL(0x40000000 | SYS_unshare, CLONE_NEWUSER); }
static long unshare_i386(void)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(310), "b"(CLONE_NEWUSER) : "memory");
	errno = (int)-result;
	return result < 0 ? -1 : 0;
}
static long getpid_x32(void) { return CALL(0x40000000 | SYS_getpid); }
#endif

static void try_namespaces(void)
{
	tell_of_child("clone-user", clone_user);
	tell_of_child("clone-mount", clone_mount);
	tell_of_child("clone-user-high-bits", clone_high);
	tell_of_child("clone3-user", clone3_user);
	tell_of_child("unshare-user", unshare_user);
	tell_of_child("unshare-time", unshare_time);
	tell_of_child("unshare-files", unshare_files);
#ifdef __x86_64__
	tell_of_child("unshare-int-0x80", unshare_i386);
	tell_of_child("unshare-x32", unshare_x32);
	tell_of_child("getpid-x32", getpid_x32);
#endif
	tell("open-init-ns", open("/proc/1/ns/mnt", O_RDONLY));
	tell("setns-own", setns(open("/proc/self/ns/user", O_RDONLY), 0));
	tell("setns-pidfd-init", setns((int)CALL(NR_pidfd_open, 1, 0), CLONE_NEWNS));
	tell("setns-pidfd-self", setns((int)CALL(NR_pidfd_open, getpid(), 0), CLONE_NEWUSER));
}

int main(void)
{
	try_processes();
	try_kernel_surface();
	try_mounts();
	try_machine();
	try_namespaces();
	return 0;
}
