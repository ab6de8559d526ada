/* Sandboxes of the relay: which sockets are watched, and who serves what arrives at them. */
#define _GNU_SOURCE
#include "relay_box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void listener_ready(struct source *source, uint32_t events) {
	struct box *box = source->owner;

	(void)events;
	if (!box->dead)
		conns_accept(&box->conns, source->fd);
}

static void udp_ready(struct source *source, uint32_t events) {
	struct box *box = source->owner;

	(void)events;
	if (!box->dead)
		dns_query(&box->dns, source->fd);
}

static struct box **find_box(struct boxes *boxes, const char *id) {
	struct box **at = &boxes->first;

	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

void box_forget(struct boxes *boxes, const char *id) {
	struct box **at = find_box(boxes, id), *box = *at;

	if (!box)
		return;
	*at = box->next;
	box->dead = 1;
	/* Listeners first: a client that sees its connection go finds no listener either. */
	for (int i = 0; i < box->n_tcp; i++)
		source_close(boxes->hub, &box->tcp[i]);
	for (int i = 0; i < box->n_udp; i++)
		source_close(boxes->hub, &box->udp[i]);
	conns_abort(&box->conns);
	dns_close(&box->dns);
	box->next = boxes->buried;
	boxes->buried = box;
}

static int watch_socket(struct hub *hub, struct source *source) {
	int flags = fcntl(source->fd, F_GETFL);

	if (flags < 0 || fcntl(source->fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -1;
	return source_watch(hub, source, EPOLLIN);
}

/* All descriptors belong to the box before one can fail, so that box_forget() closes all. */
static void adopt(struct box *box, const struct incoming *in) {
	const int *fd = in->fds;

	while (box->n_tcp < (int)in->message.n_tcp)
		box->tcp[box->n_tcp++] = (struct source){.fd = *fd++, .ready = listener_ready, .owner = box};
	while (box->n_udp < (int)in->message.n_udp)
		box->udp[box->n_udp++] = (struct source){.fd = *fd++, .ready = udp_ready, .owner = box};
}

static int watch_all(struct hub *hub, struct box *box) {
	for (int i = 0; i < box->n_tcp; i++)
		if (watch_socket(hub, &box->tcp[i]) != 0)
			return -1;
	for (int i = 0; i < box->n_udp; i++)
		if (dns_prepare(box->udp[i].fd) != 0 || watch_socket(hub, &box->udp[i]) != 0)
			return -1;
	return 0;
}

static void close_all(const struct incoming *in) {
	for (int i = 0; i < in->n_fds; i++)
		close(in->fds[i]);
}

static struct box *box_new(struct boxes *boxes, const char *id) {
	struct box *box = calloc(1, sizeof(*box));

	if (!box)
		return NULL;
	strcpy(box->id, id);
	box->conns = (struct conn_group){.pool = &boxes->conns, .id = box->id};
	dns_init(&box->dns, boxes->hub, box->id);
	box->next = boxes->first;
	boxes->first = box;
	return box;
}

void box_pair(struct boxes *boxes, const struct incoming *in) {
	struct box *box = *find_box(boxes, in->message.id);

	if (!box)
		box = box_new(boxes, in->message.id);
	if (box)
		conn_pair(&box->conns, in->fds[0], in->fds[1]);
	else
		close_all(in);
}

int box_add(struct boxes *boxes, const struct incoming *in) {
	struct box *box;
	int why;

	box_forget(boxes, in->message.id);
	box = box_new(boxes, in->message.id);
	if (!box) {
		close_all(in);
		errno = ENOMEM;
		return -1;
	}
	adopt(box, in);
	if (watch_all(boxes->hub, box) == 0)
		return 0;
	why = errno;
	box_forget(boxes, box->id);
	errno = why;
	return -1;
}

void boxes_retry(struct boxes *boxes) {
	for (struct box *box = boxes->first; box; box = box->next)
		conns_retry(&box->conns);
}

/* Connections first: they point into their box. */
void boxes_bury(struct boxes *boxes) {
	conns_bury(&boxes->conns);
	while (boxes->buried) {
		struct box *next = boxes->buried->next;

		free(boxes->buried);
		boxes->buried = next;
	}
}
