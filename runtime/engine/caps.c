#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

#define STEP "capabilities"
#define BIT(capability) (1ULL << (capability))

/* What root of a build needs to install packages; nothing that reaches kernel tables or devices. */
#define BUILD_CAPS                                                                             \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |              \
	 BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL))

/*
 * A container's root: docker's defaults, without what would reach devices (MKNOD), raw
 * packets (NET_RAW), or the kernel's log (AUDIT_WRITE). What is added here is good only
 * for what the sandbox owns itself: ports of its own network namespace, sets that only
 * shrink (SETPCAP), and file capabilities, which its nosuid mounts never honour but which
 * installers want to write. Without SYS_CHROOT: the system call is closed to everybody.
 */
#define CONTAINER_CAPS                                                                         \
	(BUILD_CAPS | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETPCAP) | BIT(CAP_SETFCAP))

/* Init: become the program's user, drop the bounding set, signal the sandbox's processes. */
#define INIT_CAPS                                                                              \
	(BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL))

/* A zygote enters the namespaces of a sandbox; in the user namespace there it has all of them, for a moment. */
#define ZYGOTE_CAPS (BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_CHROOT))

/* Effective and permitted; inheritable and ambient are always empty. */
static int set_caps(uint64_t capabilities)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted = (uint32_t)(capabilities >> (32 * i));
		data[i].inheritable = 0;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return fault(STEP, "clear the ambient set");
	return syscall(SYS_capset, &header, data) ? fault(STEP, "capset") : 0;
}

/* Everything outside `keep` can never be regained by any exec. */
static int drop_bounding(uint64_t keep)
{
	for (int capability = 0; capability < 64; capability++) {
		if (keep & BIT(capability))
			continue;
		/* Looking is cheap, a drop makes new credentials. Most went when init was confined. */
		int there = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (there < 0 && errno == EINVAL)
			break; /* past the last one this kernel knows */
		if (there && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
			return fault(STEP, "drop %d from the bounding set", capability);
	}
	return 0;
}

static uint64_t caps_of_root(enum profile profile)
{
	return profile == PROFILE_CONTAINER ? CONTAINER_CAPS
	       : profile == PROFILE_BUILD   ? BUILD_CAPS
	                                    : 0;
}

int caps_confine_init(enum profile profile)
{
	uint64_t keep = INIT_CAPS | caps_of_root(profile);
	return drop_bounding(keep) || set_caps(keep) ? -1 : 0;
}

int caps_confine_zygote(void)
{
	return drop_bounding(ZYGOTE_CAPS) || set_caps(ZYGOTE_CAPS) ? -1 : 0;
}

int caps_before_identity(enum profile profile)
{
	unsigned long bits = SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	/* Root of a build or container gets its few capabilities by being root; a function's uid never gets any. */
	if (profile == PROFILE_FUNCTION)
		bits |= SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
		        SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
	if (drop_bounding(caps_of_root(profile)))
		return -1;
	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) ? fault(STEP, "securebits") : 0;
}

int caps_after_identity(enum profile profile, bool root)
{
	return set_caps(root ? caps_of_root(profile) : 0);
}
