/* The sandbox's network: `lo`, and for egress everything routed to it and redirected. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

#define STEP "network"
#define LOOPBACK_INDEX 1 /* lo is the first device of every namespace */

int net_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		return fault(STEP, "lo");
	return 0;
}

/* Sends one request and reads its answer. */
static int route_request(int fd, struct nlmsghdr *request)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	if (send(fd, request, request->nlmsg_len, 0) < 0)
		return -1;
	if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return -1;
	errno = -answer.error.error;
	return answer.error.error ? -1 : 0;
}

/* `ip route add local default dev lo`: every address is this machine. */
static int add_local_default(int fd, unsigned char family)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr attribute;
		int device;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
		            .nlmsg_type = RTM_NEWROUTE,
		            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE },
		.route = { .rtm_family = family,
		           .rtm_table = RT_TABLE_MAIN,
		           .rtm_protocol = RTPROT_BOOT,
		           .rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
		           .rtm_type = RTN_LOCAL },
		.attribute = { .rta_len = RTA_LENGTH(sizeof(int)), .rta_type = RTA_OIF },
		.device = LOOPBACK_INDEX,
	};
	if (route_request(fd, &request.header))
		return fault(STEP, "local default route (IPv%d)", family == AF_INET ? 4 : 6);
	return 0;
}

/* A socket on the loopback address; its port goes to *port (0: any). */
static int open_local(int family, int type, uint16_t *port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(*port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(*port) };
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6.sin6_addr = in6addr_loopback;
	const struct sockaddr *address = family == AF_INET ? (const void *)&v4 : (const void *)&v6;
	socklen_t length = family == AF_INET ? sizeof(v4) : sizeof(v6);
	struct sockaddr_in6 bound;
	socklen_t bound_length = sizeof(bound);
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fault(STEP, "socket");
	if (bind(fd, address, length) || (type == SOCK_STREAM && listen(fd, 256)) ||
	    getsockname(fd, (struct sockaddr *)&bound, &bound_length)) {
		fault(STEP, "listen on port %u", *port);
		close(fd);
		return -1;
	}
	/* sin_port and sin6_port are at the same place. */
	*port = ntohs(bound.sin6_port);
	return fd;
}

int net_egress(struct net_sockets *sockets)
{
	static const int families[2] = { AF_INET, AF_INET6 };
	uint16_t tcp_port[2] = { 0, 0 }, udp_port[2] = { 53, 53 };
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return fault(STEP, "rtnetlink");
	for (int i = 0; i < 2; i++) {
		if (add_local_default(fd, (unsigned char)families[i]))
			return -1;
		sockets->tcp[i] = open_local(families[i], SOCK_STREAM, &tcp_port[i]);
		sockets->udp[i] = open_local(families[i], SOCK_DGRAM, &udp_port[i]);
		if (sockets->tcp[i] < 0 || sockets->udp[i] < 0)
			return -1;
	}
	return nftables_redirect(tcp_port, udp_port);
}
