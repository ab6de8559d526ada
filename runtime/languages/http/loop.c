/* The epoll loop: sources say what they wait for, and are called when it is there. */
#include "wafer-http.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

enum { BATCH = 64 };

static int epoll = -1;

void loop_open(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll_create1: %s", strerror(errno));
}

void watch(int fd, struct source *source, uint32_t *now, uint32_t wanted)
{
	struct epoll_event event = {.events = wanted, .data.ptr = source};
	if (*now == wanted || fd < 0)
		return;
	int op = wanted == 0 ? EPOLL_CTL_DEL : *now == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (epoll_ctl(epoll, op, fd, &event) < 0)
		die("epoll_ctl on fd %d: %s", fd, strerror(errno));
	*now = wanted;
}

int loop_round(int timeout)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(epoll, events, BATCH, timeout);
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;
		source->ready(source, events[i].events);
	}
	return n;
}
