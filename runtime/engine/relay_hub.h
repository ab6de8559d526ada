/* What all parts of the relay share: the epoll set, and the way to the host. */
#ifndef WAFER_RELAY_HUB_H
#define WAFER_RELAY_HUB_H

#include <stdint.h>
#include <sys/un.h>

enum { RELAY_ID_MAX = 128 }; /* bytes of a sandbox's id */

struct hub {
	int epoll;
	struct sockaddr_un host;
};

/*
 * One descriptor in the epoll set. `interest` 0 means that it is not in the set.
 * `ready` may be called once more in the round in which the source was closed:
 * the owner is freed after the round, and until then says itself that it is dead.
 */
struct source {
	int fd;
	uint32_t interest;
	void (*ready)(struct source *source, uint32_t events);
	void *owner;
};

/* -1 with errno when the kernel refuses; the interest is then what it was. */
int source_watch(struct hub *hub, struct source *source, uint32_t interest);
void source_close(struct hub *hub, struct source *source);

/* A connected non-blocking socket, or -1 with errno (EAGAIN: the host's backlog is full, try later). */
int hub_connect_host(const struct hub *hub);

#endif
