/*
 * The mount namespace that sandboxes are cloned from. There is nothing in it but an empty,
 * read-only root with the places where a child puts the engine's /w while it builds its own
 * root, and from which it takes it away again (mounts.c). The new root then covers the empty
 * one and becomes `/` by chroot. With pivot_root instead, the kernel would look at each
 * process of the machine, whether it has the old root; and all mounts of the engine would be
 * in the new namespace before they are detached from it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "mounts.h"

#define STEP "bare-root"

static int become_bare(void)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	if (unshare(CLONE_NEWNS) ||
	    mount("bare", PLACE_SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	          "mode=0755,size=4k,nr_inodes=4") ||
	    chdir(PLACE_SCRATCH))
		return fault(STEP, "tmpfs");
	if (mkdir("w", 0755) || symlink("w/proc", "proc"))
		return fault(STEP, "places");
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return fault(STEP, "pivot_root");
	return mount_setattr(AT_FDCWD, "/", 0, &read_only, sizeof(read_only))
	               ? fault(STEP, "read-only")
	               : 0;
}

/* A process of its own, so that the engine keeps its root. */
static _Noreturn void bare_child(const struct engine *engine, int sock)
{
	struct fault none = { 0 };
	int bad = become_bare();
	cleanup_fd int own = openat(engine->procfd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (!bad && own < 0)
		bad = fault(STEP, "open it");
	send_with_fds(sock, bad ? &last_fault : &none, sizeof(none), &own, bad ? 0 : 1);
	_exit(0);
}

int bare_open(const struct engine *engine)
{
	int pair[2], namespace = -1, pidfd = -1;
	siginfo_t end;
	struct fault told;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fault(STEP, "socketpair");
	pid_t pid = spawn(0, &pidfd, -1);
	if (pid == 0)
		bare_child(engine, pair[1]);
	close(pair[1]);
	ssize_t got = pid < 0 ? -1 : receive_with_fds(pair[0], &told, sizeof(told), &namespace, 1, 0);
	close(pair[0]);
	if (pid > 0)
		waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED);
	close_fd(&pidfd);
	if (got != (ssize_t)sizeof(told))
		return fault(STEP, "the process that makes it");
	if (namespace < 0)
		last_fault = told;
	return namespace;
}

void mounts_return(struct engine *engine)
{
	/* Out there is nothing that the engine could go on with. */
	if (!setns(engine->mounts, CLONE_NEWNS))
		return;
	perror("wafer-engine: back to the own mounts");
	sandboxes_let_die(engine);
	exit(1);
}
