/** What a function asks of the kernel directly, with raw system calls: each refusal by its errno. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, openLab } from './lab.ts';

let lab: Lab;
let answers: Record<string, string[]>;
let families: Record<string, string[]>;
beforeAll(async () => {
  lab = await openLab('calls', 'sockets');
  answers = await lab.answers(['calls']);
  families = await lab.answers(['sockets']);
});
afterAll(() => lab?.close());

const PROCESSES = ['ptrace-attach-1', 'ptrace-seize-parent', 'ptrace-traceme', 'process_vm_readv-1'];
const INSIDES = ['process_vm_readv-self', 'process_vm_writev-self', 'process_madvise', 'kcmp', 'pidfd_getfd'];
const SURFACE = ['bpf', 'perf_event_open', 'userfaultfd', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'];
const KEYS = ['io_setup', 'keyctl', 'add_key', 'request_key', 'memfd_secret', 'cachestat', 'set_mempolicy'];
const HANDLES = ['name_to_handle_at', 'open_by_handle_at', 'fanotify_init', 'move_pages'];
const KERNEL = ['kexec_load', 'init_module', 'finit_module', 'delete_module', 'syslog', 'acct', 'vhangup'];
const LEGACY = process.arch === 'x64' ? ['modify_ldt', 'iopl', 'ioperm'] : [];
const OLD_MOUNTS = ['mount-tmpfs', 'mount-bind', 'mount-overlay', 'mount-proc', 'remount-root-rw'];
const UNMASK = ['umount-mask', 'umount-proc', 'pivot_root', 'chroot'];
const NEW_MOUNTS = ['open_tree', 'open_tree_attr', 'move_mount', 'fsopen', 'fsconfig', 'fsmount', 'fspick'];
const MOUNT_INFO = ['mount_setattr', 'statmount', 'listmount'];
const NODES = ['mknod-null', 'mknod-whiteout', 'mknod-block', 'mkfifo'];
const MACHINE = ['settimeofday', 'clock_settime', 'adjtimex', 'sethostname', 'setdomainname', 'reboot', 'swapon'];
const TERMINAL = ['quotactl', 'tiocsti', 'tioclinux', 'prctl-mm', 'personality'];
const NAMESPACES = [
  'clone-user',
  'clone-mount',
  'clone-user-high-bits',
  'unshare-user',
  'unshare-time',
  'unshare-files',
];
const JOINS = ['setns-own', 'setns-pidfd-init', 'setns-pidfd-self'];

describe('a system call that no function may make', () => {
  it.each([
    ['looks into other processes', [...PROCESSES, ...INSIDES]],
    ['opens a large part of the kernel', [...SURFACE, ...KEYS, ...LEGACY]],
    ['walks out of the root by a handle', HANDLES],
    ['loads or asks the kernel', KERNEL],
    ['mounts, the old way', [...OLD_MOUNTS, ...UNMASK]],
    ['mounts, the new way', [...NEW_MOUNTS, ...MOUNT_INFO]],
    ['makes a device, a whiteout or a FIFO', NODES],
    ['changes the machine', MACHINE],
    ['types into a terminal, moves memory, changes personality', TERMINAL],
    ['makes a namespace', NAMESPACES],
    ['joins a namespace', JOINS],
  ])('answers EPERM when it %s', (_what, names) => {
    const wrong = names.filter((name) => answers[name]?.join() !== 'EPERM').map((name) => [name, answers[name]]);
    expect(wrong).toEqual([]);
  });

  it('answers ENOSYS where libraries fall back', () => {
    const names = ['clone3-user', 'splice', 'tee', 'vmsplice'];
    expect(names.map((name) => answers[name])).toEqual(names.map(() => ['ENOSYS']));
  });

  it.runIf(process.arch === 'x64')('kills who enters the kernel by another door', () => {
    const names = ['unshare-int-0x80', 'unshare-x32', 'getpid-x32'];
    expect(names.map((name) => answers[name])).toEqual(names.map(() => ['SIGSYS']));
  });

  it('gives no priority, locked memory or other id', () => {
    for (const name of ['nice', 'sched-fifo', 'sched-rr', 'sched-deadline', 'setuid-0', 'setgid-0', 'setgroups'])
      expect(answers[name], name).toEqual([expect.stringMatching(/^(EPERM|EACCES)$/)]);
    for (const name of ['nice-init', 'kill-init']) expect(answers[name], name).toEqual(['EPERM']);
    for (const name of ['mlock-1-MiB', 'mlockall'])
      expect(answers[name], name).toEqual([expect.stringMatching(/^(ENOMEM|EPERM)$/)]);
    expect(answers['open-init-ns']).toEqual([expect.stringMatching(/^(ENOENT|EACCES|EPERM)$/)]);
  });
});

describe('F26: a socket', () => {
  it('opens for unix, TCP and UDP', () => {
    for (const name of ['allowed-unix', 'allowed-tcp', 'allowed-udp']) expect(families[name], name).toEqual(['ok']);
  });
  // AF_ALG 38, AF_PACKET 17, AF_VSOCK 40, AF_RXRPC 33, AF_TIPC 30, AF_BLUETOOTH 31, AF_RDS 21, AF_XDP 44 and all the rest
  it('of any other family is refused', () => {
    const names = Object.keys(families).filter((name) => name.startsWith('family-'));
    expect(names).toHaveLength(60);
    expect(names.filter((name) => new Set(families[name]).has('ok'))).toEqual([]);
    for (const family of [17, 21, 30, 31, 33, 38, 40, 44])
      expect(new Set(families[`family-${family}`]), `family ${family}`).toEqual(new Set(['EPERM']));
  });
  it('of netlink is refused but for ROUTE: no XFRM, no NETFILTER', () => {
    const open = Object.keys(families).filter((name) => name.startsWith('netlink-') && families[name]?.includes('ok'));
    expect(open).toEqual(['netlink-0']);
  });
  it('of a raw type, or of SCTP, MPTCP, ICMP, DCCP, UDP-Lite, L2TP or SMC, is refused', () => {
    const names = Object.keys(families).filter((name) => name.startsWith('inet-'));
    expect(names.filter((name) => new Set(families[name]).has('ok'))).toEqual([]);
    for (const name of names) expect(new Set(families[name]), name).toEqual(new Set(['EPERM']));
  });
  it('is not let through by high bits of the argument, nor as a pair', () => {
    expect([families['alg-high-bits'], families['pair-inet'], families['pair-tipc']]).toEqual([
      ['EPERM'],
      ['EPERM'],
      ['EPERM'],
    ]);
  });
});

it('the next program runs and the host has what it had', async () => {
  expect(await lab.checkRest()).toEqual({ next: 'fine\n', host: lab.before });
});
