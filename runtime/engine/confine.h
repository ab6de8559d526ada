/* What a sandbox's processes may do: capabilities, system calls, files, resources, network. */
#ifndef WAFER_CONFINE_H
#define WAFER_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "request.h"

/* caps.c. Init keeps what it needs to start programs; programs get less. */
int caps_confine_init(enum profile profile);
int caps_confine_zygote(void);
/* A program, around its change of uid: first what needs capabilities, then away with them. */
int caps_before_identity(enum profile profile);
int caps_after_identity(enum profile profile, bool root);

/* seccomp.c: compiled once in the engine, loaded in each sandbox's pid 1. */
struct seccomp_filters {
	struct sock_fprog allow, deny;
	char hash[17];
};
int filters_compile(struct seccomp_filters *filters);
int filters_load(const struct seccomp_filters *filters);

/* landlock.c: 0 when the kernel has none. */
int landlock_abi(void);
#define CONFINE_FILES 1 /* where a function may write */
#define CONFINE_SCOPE 2 /* no signals and abstract sockets out of what is confined together */
int landlock_confine(int abi, const struct spec *spec, int what);

/* rlimits.c: `user` is /proc/sys/user of the sandbox's own /proc. */
int rlimits_forbid_namespaces(int user);
int rlimits_confine(const struct spec *spec);
/* Of every process of a live sandbox but its init; 0: stays. */
int rlimits_lower(int procfd, int init, uint64_t nofile, uint64_t fsize);

/* net.c */
int net_loopback_up(void);
#define NET_TCP 2
#define NET_UDP 2
struct net_sockets {
	int tcp[NET_TCP], udp[NET_UDP]; /* IPv4, IPv6 */
};
/* Listeners, local default routes and the redirect, in the calling process's namespace. */
int net_egress(struct net_sockets *sockets);
/* nftables.c: redirects TCP to tcp_port[v4, v6] and UDP 53 to udp_port[v4, v6]. */
int nftables_redirect(const uint16_t tcp_port[2], const uint16_t udp_port[2]);

#endif
