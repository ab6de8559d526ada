import { release } from 'node:os';
import { type ProbeResult, type Subject, verdicts } from './probe.ts';
import { readKernelFile, runProgram } from './shell.ts';

/** Below 5.11 an ordinary user can not mount overlayfs. */
const OLDEST: readonly [number, number] = [5, 11];

export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [first = 0, second = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return first > major || (first === major && second >= minor);
}

export async function probeKernel(): Promise<ProbeResult> {
  const { ok, fail } = verdicts({
    id: 'kernel',
    title: 'Kernel',
    meaning: 'rootless overlay mounts came with Linux 5.11',
  });
  const version = release();
  if (isAtLeast(version, OLDEST)) return ok(`Linux ${version}`);
  return fail(`Linux ${version}`, 'no sandbox can be made', 'sudo apt-get install linux-image-amd64 && sudo reboot');
}

export async function probeSeccomp(): Promise<ProbeResult> {
  const { ok, fail } = verdicts({
    id: 'seccomp',
    title: 'Seccomp',
    meaning: 'each sandbox may use only an allow-list of system calls',
  });
  const actions = await readKernelFile('/proc/sys/kernel/seccomp/actions_avail');
  if (actions?.includes('errno')) return ok('filters with errno answers');
  return fail('no seccomp filters', 'no sandbox can be made', 'Use a kernel with CONFIG_SECCOMP_FILTER=y.');
}

/** Asks the kernel itself (landlock_create_ruleset with the version flag); perl is part of every Debian and Ubuntu. */
async function askLandlock(subject: Subject): Promise<number | null> {
  const script = 'print syscall(444, 0, 0, 1)';
  const { ok, stdout } = await runProgram([...subject.prefix, 'perl', '-e', script]);
  return ok && /^-?\d+$/.test(stdout) ? Number(stdout) : null;
}

export async function probeLandlock(subject: Subject): Promise<ProbeResult> {
  const { ok, warn } = verdicts({
    id: 'landlock',
    title: 'Landlock',
    meaning: 'a second wall around the files of each sandbox',
  });
  const abi = await askLandlock(subject);
  if (abi !== null && abi > 0) return ok(`ABI ${abi}`);
  const modules = await readKernelFile('/sys/kernel/security/lsm');
  if (abi === null && modules?.includes('landlock')) return ok('on; its ABI could not be asked for');
  if (abi === null && modules === null) {
    return warn('unknown: perl is missing', 'nothing, if it is on', 'sudo apt-get install perl-base');
  }
  return warn(
    'off',
    'namespaces and mounts still hold, without the second wall',
    `add lsm=landlock,${modules ?? 'lockdown,yama,apparmor'} to GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub && sudo reboot`,
  );
}
