/* The epoll set and the host socket; the parts above know each other's needs, this knows none of them. */
#define _GNU_SOURCE
#include "relay_hub.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A descriptor without interest leaves the set: EPOLLHUP is reported whether asked for or not, and would spin. */
int source_watch(struct hub *hub, struct source *source, uint32_t interest) {
	struct epoll_event event = {.events = interest, .data.ptr = source};
	int op = EPOLL_CTL_MOD;

	if (source->fd < 0 || interest == source->interest)
		return 0;
	if (source->interest == 0)
		op = EPOLL_CTL_ADD;
	else if (interest == 0)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(hub->epoll, op, source->fd, &event) != 0)
		return -1;
	source->interest = interest;
	return 0;
}

void source_close(struct hub *hub, struct source *source) {
	if (source->fd < 0)
		return;
	source_watch(hub, source, 0);
	close(source->fd);
	source->fd = -1;
	source->interest = 0;
}

int hub_connect_host(const struct hub *hub) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&hub->host, sizeof(hub->host)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
