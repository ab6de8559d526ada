/*
 * A program in a user and a net namespace of its own, in which every address of the world is
 * this machine: servers of a test may have any, and nothing leaves. Needs no privilege. The
 * uid inside is one that has no subordinate ids, so that an engine started there does not ask for them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UID_INSIDE 54321
#define LOOPBACK_INDEX 1

static void check(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(125);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void write_map(const char *path, unsigned id)
{
	char line[64];
	snprintf(line, sizeof(line), "%d %u 1\n", UID_INSIDE, id);
	write_text(path, line);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request), "lo");
	close(fd);
}

static void every_address_is_local(unsigned char family)
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
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	check(fd >= 0 && send(fd, &request, sizeof(request), 0) > 0 && recv(fd, &answer, sizeof(answer), 0) > 0,
	      "rtnetlink");
	errno = -answer.error.error;
	check(!answer.error.error, "local default route");
	close(fd);
}

int main(int count, char **values)
{
	unsigned uid = geteuid(), gid = getegid();
	check(count > 1, "usage: enter PROGRAM ARGUMENTS...");
	check(!unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare");
	write_text("/proc/self/setgroups", "deny");
	write_map("/proc/self/uid_map", uid);
	write_map("/proc/self/gid_map", gid);
	loopback_up();
	every_address_is_local(AF_INET);
	every_address_is_local(AF_INET6);
	write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	execvp(values[1], values + 1);
	check(0, values[1]);
	return 125;
}
