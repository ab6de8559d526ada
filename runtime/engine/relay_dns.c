/*
 * Names: UDP queries of a sandbox, over one framed connection per sandbox.
 *
 * Frames both ways: u32 query id | u16 length | DNS message (big endian). The id
 * is the relay's own; it finds the client's address in a ring of the last 256
 * queries, so lost answers need no clean-up. Queries are dropped, as UDP may be,
 * when the host does not read.
 */
#define _GNU_SOURCE
#include "relay_dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { FRAME_HEAD = 6, IN_SIZE = FRAME_HEAD + 65535, QUERY_MIN = 12, QUERY_MAX = 4096, QUEUE_MAX = 65536 };
enum { QUERIES_PER_TURN = 32 };

union pktinfo_buffer {
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct cmsghdr align;
};

/* The answer has to leave from the address that the query came to, or the redirect is not undone on its way. */
int dns_prepare(int udp) {
	struct sockaddr_storage local;
	socklen_t size = sizeof(local);
	int yes = 1;

	if (getsockname(udp, (struct sockaddr *)&local, &size) != 0)
		return -1;
	if (local.ss_family == AF_INET6)
		return setsockopt(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
	return setsockopt(udp, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes));
}

void dns_close(struct dns *dns) {
	source_close(dns->hub, &dns->host);
	flow_free(&dns->out);
	free(dns->in);
	dns->in = NULL;
	dns->in_size = 0;
	for (int i = 0; i < RELAY_DNS_PENDING; i++)
		dns->pending[i].used = 0;
}

static int dns_open(struct dns *dns) {
	char header[RELAY_ID_MAX + 32];
	int size = snprintf(header, sizeof(header), "wafer1 egress %s dns\n", dns->id);

	dns->host.fd = hub_connect_host(dns->hub);
	dns->in = malloc(IN_SIZE);
	if (dns->host.fd >= 0 && dns->in && flow_append(&dns->out, header, (size_t)size) == 0)
		return 0;
	dns_close(dns);
	return -1;
}

/*** Queries ***/

static void note_local(struct dns_pending *pending, struct msghdr *header) {
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO)
			memcpy(&pending->local.v4, CMSG_DATA(part) + offsetof(struct in_pktinfo, ipi_addr),
			       sizeof(pending->local.v4));
		else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO)
			memcpy(&pending->local.v6, CMSG_DATA(part), sizeof(pending->local.v6));
	}
}

/* One datagram into the ring and the frame. 0 when there is no more, 1 to go on. */
static int take_query(struct dns *dns, int udp) {
	unsigned char frame[FRAME_HEAD + QUERY_MAX];
	struct dns_pending pending = {.used = 1, .udp = udp, .id = dns->next};
	struct iovec part = {.iov_base = frame + FRAME_HEAD, .iov_len = QUERY_MAX};
	union pktinfo_buffer control = {0};
	struct msghdr header = {.msg_name = &pending.peer, .msg_namelen = sizeof(pending.peer), .msg_iov = &part,
	                        .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(udp, &header, 0);
	uint32_t id = htonl(pending.id);
	uint16_t size;

	if (got < 0)
		return 0;
	if (got < QUERY_MIN || (header.msg_flags & MSG_TRUNC) ||
	    dns->out.size - dns->out.at > QUEUE_MAX)
		return 1;
	pending.peer_size = header.msg_namelen;
	note_local(&pending, &header);
	size = htons((uint16_t)got);
	memcpy(frame, &id, sizeof(id));
	memcpy(frame + sizeof(id), &size, sizeof(size));
	if (flow_append(&dns->out, frame, FRAME_HEAD + (size_t)got) == 0) {
		dns->pending[pending.id % RELAY_DNS_PENDING] = pending;
		dns->next++;
	}
	return 1;
}

static void discard_query(int udp) {
	char byte;

	(void)!recv(udp, &byte, sizeof(byte), 0);
}

static void dns_flush(struct dns *dns) {
	int left = flow_flush(&dns->out, dns->host.fd);

	if (left < 0 || source_watch(dns->hub, &dns->host, left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN) != 0)
		dns_close(dns);
}

void dns_query(struct dns *dns, int udp) {
	if (dns->host.fd < 0 && dns_open(dns) != 0) {
		discard_query(udp);
		return;
	}
	for (int i = 0; i < QUERIES_PER_TURN && take_query(dns, udp); i++)
		continue;
	dns_flush(dns);
}

/*** Answers ***/

static void send_answer(const struct dns_pending *pending, unsigned char *message, size_t size) {
	struct iovec part = {.iov_base = message, .iov_len = size};
	union pktinfo_buffer control = {0};
	struct msghdr header = {.msg_name = (void *)(uintptr_t)&pending->peer, .msg_namelen = pending->peer_size,
	                        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
	struct cmsghdr *info = &control.align;

	if (pending->peer.ss_family == AF_INET6) {
		const struct in6_pktinfo from = {.ipi6_addr = pending->local.v6};

		header.msg_controllen = CMSG_SPACE(sizeof(from));
		*info = (struct cmsghdr){.cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(from))};
		memcpy(CMSG_DATA(info), &from, sizeof(from));
	} else {
		const struct in_pktinfo from = {.ipi_spec_dst = pending->local.v4};

		header.msg_controllen = CMSG_SPACE(sizeof(from));
		*info = (struct cmsghdr){.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(from))};
		memcpy(CMSG_DATA(info), &from, sizeof(from));
	}
	/* A datagram that can not be sent is lost; the client asks again. */
	(void)!sendmsg(pending->udp, &header, MSG_NOSIGNAL);
}

/* Whole frames at the front of the buffer; the rest moves to the front. */
static void take_answers(struct dns *dns) {
	size_t at = 0;

	while (dns->in_size - at >= FRAME_HEAD) {
		unsigned char *frame = dns->in + at;
		struct dns_pending *pending;
		uint32_t id;
		uint16_t size;

		memcpy(&id, frame, sizeof(id));
		memcpy(&size, frame + sizeof(id), sizeof(size));
		id = ntohl(id);
		size = ntohs(size);
		if (dns->in_size - at < FRAME_HEAD + (size_t)size)
			break;
		pending = &dns->pending[id % RELAY_DNS_PENDING];
		if (pending->used && pending->id == id) {
			pending->used = 0;
			send_answer(pending, frame + FRAME_HEAD, size);
		}
		at += FRAME_HEAD + (size_t)size;
	}
	memmove(dns->in, dns->in + at, dns->in_size - at);
	dns->in_size -= at;
}

static void host_ready(struct source *source, uint32_t events) {
	struct dns *dns = source->owner;

	if (source->fd < 0) /* closed in this round */
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t got = recv(source->fd, dns->in + dns->in_size, IN_SIZE - dns->in_size, 0);

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
			dns_close(dns); /* opened again by the next query */
			return;
		}
		if (got > 0) {
			dns->in_size += (size_t)got;
			take_answers(dns);
		}
	}
	dns_flush(dns);
}

void dns_init(struct dns *dns, struct hub *hub, const char *id) {
	memset(dns, 0, sizeof(*dns));
	dns->hub = hub;
	dns->id = id;
	dns->host = (struct source){.fd = -1, .ready = host_ready, .owner = dns};
}
