/*
 * The system calls a sandbox may make. Everything that is not here answers
 * EPERM. Names unknown on an architecture are skipped. Both profiles use one
 * table: a build differs in capabilities and ids, not in system calls.
 *
 * Left out on purpose (they answer EPERM, or ENOSYS where a runtime falls back):
 *   ptrace process_vm_* kcmp pidfd_getfd process_madvise   other processes' insides
 *   mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount
 *   fspick mount_setattr statmount listmount                file system layout
 *   unshare setns clone/clone3 with namespaces              new privileges
 *   bpf perf_event_open userfaultfd io_uring_* io_setup     large kernel surface
 *   keyctl add_key request_key                              keyrings
 *   name_to_handle_at open_by_handle_at fanotify_*          walk out of the root
 *   mknod mknodat                                           devices, FIFOs
 *   memfd_secret cachestat uretprobe modify_ldt quotactl syslog kexec_* *_module
 *   splice tee vmsplice                                     page references into sockets
 */
static const char *const allowed_calls[] = {
	/* files */
	"access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat",
	"dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir",
	"fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr",
	"flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync",
	"ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "getxattrat",
	"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "lchown",
	"lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr", "lremovexattr",
	"lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "newfstatat", "open", "openat",
	"openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read",
	"readahead", "readlink", "readlinkat", "readv", "removexattr", "removexattrat", "rename",
	"renameat", "renameat2", "rmdir", "sendfile", "setxattr", "setxattrat", "stat", "statfs",
	"statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "truncate", "umask",
	"unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev",
	/* memory */
	"brk", "get_mempolicy", "madvise", "map_shadow_stack", "membarrier", "memfd_create",
	"mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap", "mseal", "msync",
	"munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect",
	"remap_file_pages",
	/* processes and threads (clone is in seccomp.c) */
	"arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
	"futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list",
	"get_thread_area", "getcpu", "getegid", "geteuid", "getgid", "getgroups", "getpgid",
	"getpgrp", "getpid", "getppid", "getpriority", "getresgid", "getresuid", "getrlimit",
	"getrusage", "getsid", "gettid", "getuid", "ioprio_get", "ioprio_set", "kill",
	"pause", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "rseq",
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr",
	"sched_setparam", "sched_setscheduler", "sched_yield", "set_robust_list",
	"set_thread_area", "set_tid_address", "setfsgid", "setfsuid", "setgid", "setgroups",
	"setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit",
	"setsid", "setuid", "sigaltstack", "tgkill", "times", "tkill", "uname", "vfork", "wait4",
	"waitid",
	/* more confinement is always fine */
	"landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp",
	/* time */
	"alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday",
	"nanosleep", "setitimer", "time", "timer_create", "timer_delete", "timer_getoverrun",
	"timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime",
	/* waiting, pipes, sockets (socket and socketpair are in seccomp.c) */
	"accept", "accept4", "bind", "connect", "epoll_create", "epoll_create1", "epoll_ctl",
	"epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "getpeername",
	"getsockname", "getsockopt", "ioctl", "listen", "pipe", "pipe2", "poll", "ppoll",
	"pselect6", "recvfrom", "recvmmsg", "recvmsg", "select", "sendmmsg", "sendmsg", "sendto",
	"setsockopt", "shutdown", "signalfd", "signalfd4",
	/* System V and POSIX objects of the sandbox's own ipc namespace */
	"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink",
	"msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat",
	"shmctl", "shmdt", "shmget",
	/* the machine */
	"getrandom", "sysinfo",
};

/* Callers fall back when these "do not exist". */
static const char *const absent_calls[] = { "clone3", "splice", "tee", "vmsplice" };
