/*
 * Two filters: `allow` lists what may be called and with which leading
 * arguments, `deny` takes single values out of calls that are otherwise
 * allowed. The kernel applies the stricter answer of the two.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "seccomp_table.h"
#include "util.h"

#define STEP "seccomp"
#define LOW32 0xffffffffULL
#define NAMESPACES                                                                              \
	((uint64_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |   \
	 CLONE_NEWPID | CLONE_NEWNET)

/* The kernel reads int arguments from the low half; the high half must not matter. */
#define IS(argument, value) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, LOW32, value)

static int add_named(scmp_filter_ctx context, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);
	if (number < 0)
		return 0; /* unknown to this library or not of this architecture */
	return seccomp_rule_add(context, action, number, 0);
}

static int add_sockets(scmp_filter_ctx context)
{
	static const unsigned families[] = { AF_INET, AF_INET6 };
	static const unsigned types[] = { SOCK_STREAM, SOCK_DGRAM };
	static const unsigned protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP };
	int bad = 0;
	bad |= seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, IS(0, AF_UNIX));
	bad |= seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, IS(0, AF_UNIX));
	/* getaddrinfo and getifaddrs ask for the interfaces. */
	bad |= seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, IS(0, AF_NETLINK),
	                        IS(2, NETLINK_ROUTE));
	/* The answer of a kernel without audit: useradd goes on after it, and gives up after EPERM. */
	bad |= seccomp_rule_add(context, SCMP_ACT_ERRNO(EPROTONOSUPPORT), SCMP_SYS(socket), 2,
	                        IS(0, AF_NETLINK), IS(2, NETLINK_AUDIT));
	for (size_t f = 0; f < ARRAY_LENGTH(families); f++)
		for (size_t t = 0; t < ARRAY_LENGTH(types); t++)
			for (size_t p = 0; p < ARRAY_LENGTH(protocols); p++)
				bad |= seccomp_rule_add(
					context, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, IS(0, families[f]),
					SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, 0xf, types[t]), IS(2, protocols[p]));
	return bad;
}

static int add_allowed(scmp_filter_ctx context)
{
	static const uint64_t personalities[] = { 0, 0x8, 0x20000, 0x20008, 0xffffffff };
	int bad = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(allowed_calls); i++)
		bad |= add_named(context, SCMP_ACT_ALLOW, allowed_calls[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(absent_calls); i++)
		bad |= add_named(context, SCMP_ACT_ERRNO(ENOSYS), absent_calls[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(personalities); i++)
		bad |= seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
		                        IS(0, personalities[i]));
	bad |= seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	                        SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, NAMESPACES, 0));
	return bad | add_sockets(context);
}

static int add_denied(scmp_filter_ctx context)
{
	const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
	int bad = 0;
	/* Typing into a terminal that belongs to somebody else. */
	bad |= seccomp_rule_add(context, eperm, SCMP_SYS(ioctl), 1, IS(1, TIOCSTI));
	bad |= seccomp_rule_add(context, eperm, SCMP_SYS(ioctl), 1, IS(1, TIOCLINUX));
	bad |= seccomp_rule_add(context, eperm, SCMP_SYS(prctl), 1, IS(0, PR_SET_MM));
	/* It makes a device, 0:0, for which the kernel asks for no privilege. */
	bad |= seccomp_rule_add(context, eperm, SCMP_SYS(renameat2), 1,
	                        SCMP_CMP64(4, SCMP_CMP_MASKED_EQ, RENAME_WHITEOUT, RENAME_WHITEOUT));
	bad |= seccomp_rule_add(context, eperm, SCMP_SYS(prctl), 1, IS(0, PR_SET_PTRACER));
	return bad;
}

static int export_filter(scmp_filter_ctx context, struct sock_fprog *program)
{
	struct stat status;
	cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0 || seccomp_export_bpf(context, fd) || fstat(fd, &status))
		return -1;
	program->len = (unsigned short)((size_t)status.st_size / sizeof(struct sock_filter));
	program->filter = need_memory((size_t)status.st_size);
	return pread(fd, program->filter, (size_t)status.st_size, 0) == status.st_size ? 0 : -1;
}

static int compile(struct sock_fprog *program, uint32_t otherwise, int (*add)(scmp_filter_ctx))
{
	scmp_filter_ctx context = seccomp_init(otherwise);
	if (!context)
		return refuse(STEP, "no memory");
	/* The 32-bit and x32 entries of the same kernel would bypass the table. */
	int bad = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	bad |= seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	bad |= add(context);
	bad |= bad ? 0 : export_filter(context, program);
	seccomp_release(context);
	return bad ? refuse(STEP, "the filter can not be built (%d)", bad) : 0;
}

static void hash_into(uint64_t *hash, const struct sock_fprog *program)
{
	const unsigned char *bytes = (const unsigned char *)program->filter;
	for (size_t i = 0; i < program->len * sizeof(struct sock_filter); i++)
		*hash = (*hash ^ bytes[i]) * 0x100000001b3ULL; /* FNV-1a */
}

int filters_compile(struct seccomp_filters *filters)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	if (compile(&filters->allow, SCMP_ACT_ERRNO(EPERM), add_allowed) ||
	    compile(&filters->deny, SCMP_ACT_ALLOW, add_denied))
		return -1;
	hash_into(&hash, &filters->allow);
	hash_into(&hash, &filters->deny);
	snprintf(filters->hash, sizeof(filters->hash), "%016llx", (unsigned long long)hash);
	return 0;
}
