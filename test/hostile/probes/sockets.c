/* Opens sockets of every family, and those of the few that are allowed in every shape. */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tell.h"

static void try(const char *name, int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);
	tell(name, fd);
	if (fd >= 0)
		close(fd);
}

static void try_families(void)
{
	char name[32];
	for (int family = 0; family < 64; family++) {
		if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
			continue;
		snprintf(name, sizeof(name), "family-%d", family);
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
			try(name, family, type, 0);
	}
}

static void try_netlink(void)
{
	char name[32];
	for (int protocol = 0; protocol < 32; protocol++) {
		snprintf(name, sizeof(name), "netlink-%d", protocol);
		try(name, AF_NETLINK, SOCK_RAW, protocol);
	}
}

static void try_inet(void)
{
	static const int protocols[] = { IPPROTO_ICMP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE,
		                             115 /* L2TP */, 262 /* MPTCP */, 256 /* SMC */ };
	char name[64];
	for (int v6 = 0; v6 < 2; v6++) {
		int family = v6 ? AF_INET6 : AF_INET;
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
			for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
				snprintf(name, sizeof(name), "inet-type-%d-protocol-%d", type, protocols[i]);
				try(name, family, type, protocols[i]);
			}
		try("inet-raw", family, SOCK_RAW, IPPROTO_TCP);
		try("inet-raw-udp", family, SOCK_RAW, IPPROTO_UDP);
	}
}

int main(void)
{
	try_families();
	try_netlink();
	try_inet();
	tell("alg-high-bits", syscall(SYS_socket, 0x100000026L, SOCK_SEQPACKET, 0));
	tell("pair-inet", socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){ 0 }));
	tell("pair-tipc", socketpair(30, SOCK_STREAM, 0, (int[2]){ 0 }));
	try("allowed-unix", AF_UNIX, SOCK_STREAM, 0);
	try("allowed-tcp", AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	try("allowed-udp", AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
	return 0;
}
