/* Between the engine and its relay: one SOCK_SEQPACKET message for each sandbox that comes or goes. */
#define _GNU_SOURCE
#include "relay_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "jobs.h"

union control_buffer {
	char bytes[CMSG_SPACE(2 * RELAY_SOCKETS_MAX * sizeof(int))];
	struct cmsghdr align;
};

/*** The engine's side ***/

static int send_message(int sock, const struct message *message, const int *fds, int n_fds) {
	struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
	union control_buffer control = {0};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (n_fds > 0) {
		struct cmsghdr *rights;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, (size_t)n_fds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof(*message) ? 0 : -1;
}

int relay_send_sandbox(int sock, const char *sandbox_id, const int *tcp_listeners, int n_tcp, const int *udp_sockets,
                       int n_udp) {
	struct message message = {.kind = MESSAGE_ADD, .n_tcp = (uint32_t)n_tcp, .n_udp = (uint32_t)n_udp};
	int fds[2 * RELAY_SOCKETS_MAX];

	if (n_tcp < 0 || n_tcp > RELAY_SOCKETS_MAX || n_udp < 0 || n_udp > RELAY_SOCKETS_MAX ||
	    strlen(sandbox_id) > RELAY_ID_MAX) {
		errno = EINVAL;
		return -1;
	}
	strcpy(message.id, sandbox_id);
	if (n_tcp > 0)
		memcpy(fds, tcp_listeners, (size_t)n_tcp * sizeof(int));
	if (n_udp > 0)
		memcpy(fds + n_tcp, udp_sockets, (size_t)n_udp * sizeof(int));
	return send_message(sock, &message, fds, n_tcp + n_udp);
}

int relay_forget(int sock, const char *sandbox_id) {
	struct message message = {.kind = MESSAGE_FORGET};

	if (strlen(sandbox_id) > RELAY_ID_MAX) {
		errno = EINVAL;
		return -1;
	}
	strcpy(message.id, sandbox_id);
	return send_message(sock, &message, NULL, 0);
}

int relay_send_pair(int sock, const char *sandbox_id, int inside, int host) {
	struct message message = {.kind = MESSAGE_PAIR};
	const int fds[2] = {inside, host};

	if (strlen(sandbox_id) > RELAY_ID_MAX) {
		errno = EINVAL;
		return -1;
	}
	strcpy(message.id, sandbox_id);
	return send_message(sock, &message, fds, 2);
}

/*** The relay's side ***/

static int take_fds(struct msghdr *header, int *fds) {
	int n = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		n = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(part), (size_t)n * sizeof(int));
	}
	return n;
}

static int is_well_formed(const struct incoming *in) {
	const struct message *message = &in->message;

	if (message->kind == MESSAGE_FORGET)
		return 1;
	if (message->kind == MESSAGE_PAIR)
		return in->n_fds == 2;
	return message->kind == MESSAGE_ADD && message->n_tcp <= RELAY_SOCKETS_MAX && message->n_udp <= RELAY_SOCKETS_MAX &&
	       (int)(message->n_tcp + message->n_udp) == in->n_fds;
}

enum received message_receive(int sock, struct incoming *in) {
	struct iovec part = {.iov_base = &in->message, .iov_len = sizeof(in->message)};
	union control_buffer control = {0};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
	                        .msg_controllen = sizeof(control.bytes)};

	memset(in, 0, sizeof(*in));
	in->size = recvmsg(sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (in->size < 0 && (errno == EAGAIN || errno == EINTR))
		return RECEIVED_NOTHING;
	if (in->size == 0)
		return RECEIVED_END;
	if (in->size != (ssize_t)sizeof(in->message) || (header.msg_flags & MSG_CTRUNC))
		return RECEIVED_MALFORMED;
	in->n_fds = take_fds(&header, in->fds);
	in->message.id[RELAY_ID_MAX] = '\0';
	return is_well_formed(in) ? RECEIVED_MESSAGE : RECEIVED_MALFORMED;
}
