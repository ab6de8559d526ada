/* Takes as much of one resource as it can get; see exhaustion.test.ts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "tell.h"

/* Every child forks on, in sessions of its own, so that no parent can be found to kill. */
static _Noreturn int bomb(void)
{
	printf("start ok\n");
	fflush(stdout);
	for (;;) {
		if (fork() == 0) {
			setsid();
			if (fork() != 0)
				_exit(0);
		}
	}
}

static int zombies(long most)
{
	long made = 0;
	pid_t pid = 0;
	while (made < most && (pid = fork()) > 0)
		made++;
	if (pid == 0)
		_exit(0);
	tell("fork", pid);
	printf("made %ld\n", made);
	return 0;
}

/* Orphans are pid 1's to reap: far more of them than the limit may pass through. */
static int orphans(long most)
{
	long made = 0;
	for (int tries = 0; made < most && tries < 100000; tries++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (fork() == 0)
				_exit(0);
			_exit(0);
		}
		if (pid < 0) {
			usleep(1000);
			continue;
		}
		made++;
		waitpid(pid, NULL, 0);
	}
	printf("orphans %ld\n", made);
	return 0;
}

static int descriptors(const char *kind)
{
	int pair[2], made = 0, last = 0;
	while (made < 1000000) {
		if (!strcmp(kind, "files"))
			last = open("/dev/null", O_RDONLY);
		else if (!strcmp(kind, "sockets"))
			last = socket(AF_INET, SOCK_STREAM, 0);
		else if (!strcmp(kind, "ptys"))
			last = open("/dev/ptmx", O_RDWR | O_NOCTTY);
		else
			last = pipe(pair);
		if (last < 0)
			break;
		made++;
	}
	tell("last", last);
	printf("made %d\n", made);
	return 0;
}

static char block[1 << 20];

static _Noreturn int eat_anonymous(void)
{
	for (;;) {
		char *more = malloc(sizeof(block));
		if (more)
			memset(more, 'x', sizeof(block));
	}
}

static int eat_memfd(void)
{
	for (;;) {
		int fd = memfd_create("x", 0);
		for (int i = 0; i < 16; i++)
			if (write(fd, block, sizeof(block)) < 0)
				return printf("memfd %s\n", strerrorname_np(errno)) < 0;
	}
}

static int eat_pages(void)
{
	/* One page of each 2 MiB: a page table for every one of them. */
	for (;;) {
		char *map = mmap(NULL, 1L << 30, PROT_READ | PROT_WRITE,
		                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (map == MAP_FAILED)
			return printf("map %s\n", strerrorname_np(errno)) < 0;
		madvise(map, 1L << 30, MADV_NOHUGEPAGE);
		for (long at = 0; at < 1L << 30; at += 2 << 20)
			map[at] = 1;
	}
}

/* What is in flight belongs to the kernel; it must be charged all the same. */
static int eat_buffers(bool pipes)
{
	int pair[2], size = 1 << 20;
	while ((pipes ? pipe2(pair, O_NONBLOCK)
	              : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)) == 0) {
		if (pipes)
			fcntl(pair[1], F_SETPIPE_SZ, size);
		else
			setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		while (write(pair[1], block, sizeof(block)) > 0)
			;
	}
	return printf("buffers %s\n", strerrorname_np(errno)) < 0;
}

static int eat_shm(void)
{
	char name[64];
	for (int i = 0;; i++) {
		snprintf(name, sizeof(name), "/dev/shm/%d", i);
		int fd = open(name, O_CREAT | O_WRONLY, 0600);
		if (fd < 0 || write(fd, block, sizeof(block)) < 0)
			return printf("shm %s\n", strerrorname_np(errno)) < 0;
		close(fd);
	}
}

static int eat(const char *what)
{
	memset(block, 'x', sizeof(block));
	if (!strcmp(what, "anonymous"))
		return eat_anonymous();
	if (!strcmp(what, "memfd"))
		return eat_memfd();
	if (!strcmp(what, "page-tables"))
		return eat_pages();
	if (!strcmp(what, "shm"))
		return eat_shm();
	return eat_buffers(!strcmp(what, "pipes"));
}

static void ignore(int number) { (void)number; }

static _Noreturn void *spin_thread(void *unused)
{
	(void)unused;
	for (;;)
		;
}

/* Ignores everything that can be ignored, and turns in a handler on what it takes. */
static _Noreturn int stubborn(void)
{
	pthread_t thread;
	sigset_t all;
	for (int number = 1; number < 65; number++)
		signal(number, ignore);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	pthread_create(&thread, NULL, spin_thread, NULL);
	printf("start ok\n");
	fflush(stdout);
	for (;;)
		;
}

static void kill_all(void)
{
	signal(SIGTERM, SIG_IGN);
	tell("kill-minus-1", kill(-1, SIGTERM));
	int reached = 0, refused = 0;
	for (pid_t pid = 1; pid < 65536; pid++) {
		if (pid == getpid() || (kill(pid, SIGKILL) && errno == ESRCH))
			continue;
		if (errno == EPERM)
			refused++;
		else
			reached++;
		errno = 0;
	}
	printf("reached %d\nrefused %d\n", reached, refused);
}

int main(int count, char **values)
{
	const char *what = count > 1 ? values[1] : "", *a = count > 2 ? values[2] : "";
	if (!strcmp(what, "bomb"))
		return bomb();
	if (!strcmp(what, "bomb-and-leave")) {
		if (fork() == 0)
			bomb();
		usleep(300000);
		return 5;
	}
	if (!strcmp(what, "zombies"))
		return zombies(atol(a));
	if (!strcmp(what, "orphans"))
		return orphans(atol(a));
	if (!strcmp(what, "descriptors"))
		return descriptors(a);
	if (!strcmp(what, "eat"))
		return eat(a);
	if (!strcmp(what, "stubborn"))
		return stubborn();
	if (!strcmp(what, "queue"))
		tell("mq_open", mq_open("/x", O_CREAT | O_RDWR, 0600, NULL));
	else
		kill_all();
	return 0;
}
