import { readdir } from 'node:fs/promises';
import { type ProbeContext, type ProbeResult, type Subject, verdicts } from './probe.ts';
import { readKernelFile, runProgram } from './shell.ts';

export const IN_USERNS = ['unshare', '--user', '--map-root-user'] as const;

const APPARMOR_SWITCH = '/proc/sys/kernel/apparmor_restrict_unprivileged_userns';

/** Why the kernel refuses, and what allows it: the known switches, most specific first. */
async function refusal(): Promise<[found: string, fix: string]> {
  if ((await readKernelFile('/proc/sys/user/max_user_namespaces')) === '0') {
    return ['user.max_user_namespaces is 0', 'sudo sysctl -w user.max_user_namespaces=15000'];
  }
  if ((await readKernelFile('/proc/sys/kernel/unprivileged_userns_clone')) === '0') {
    return ['kernel.unprivileged_userns_clone is 0', 'sudo sysctl -w kernel.unprivileged_userns_clone=1'];
  }
  if ((await readKernelFile(APPARMOR_SWITCH)) === '1') {
    return [
      'AppArmor restricts user namespaces (Ubuntu 23.10 and later)',
      'bash infra/setup.sh   (it installs an AppArmor profile for the engine)',
    ];
  }
  return ['the kernel refuses', 'Allow unprivileged user namespaces in the container or kernel that runs this.'];
}

/** Set-up installs one profile for each place where an engine lies. */
async function hasEngineProfile(): Promise<boolean> {
  const names = await readdir('/etc/apparmor.d').catch(() => []);
  return names.some((name) => name.startsWith('wafer-engine'));
}

/** AppArmor restricts user namespaces and the engine has a profile: then what `unshare` may not says nothing. */
export async function onlyEngineMay(): Promise<boolean> {
  return (await readKernelFile(APPARMOR_SWITCH)) === '1' && (await hasEngineProfile());
}

export async function probeUserNamespaces({ subject }: ProbeContext): Promise<ProbeResult> {
  const { ok, fail } = verdicts({
    id: 'user-namespaces',
    title: 'User namespaces',
    meaning: 'what makes a sandbox possible without root',
  });
  const tried = await runProgram([...subject.prefix, ...IN_USERNS, 'true']);
  if (tried.ok) return ok(`made one as ${subject.name}`);
  if (await onlyEngineMay()) return ok('restricted by AppArmor; the engine has a profile');
  const [found, fix] = await refusal();
  return fail(`${found} (${tried.reason})`, 'no sandbox can be made', fix);
}

interface Range {
  first: number;
  count: number;
}

/** Lines `name:first:count` (or the uid) of /etc/subuid or /etc/subgid. */
export function parseRanges(text: string, subject: Pick<Subject, 'name' | 'uid'>): Range[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter(([owner]) => owner === subject.name || owner === String(subject.uid))
    .map(([, first, count]) => ({ first: Number(first), count: Number(count) }))
    .filter(({ first, count }) => first > 0 && count > 0);
}

const largest = (ranges: Range[]): Range | undefined => ranges.sort((a, b) => b.count - a.count)[0];

/** The engine takes the largest range: one block for the files of images, the rest for sandboxes, one id each. */
const WANTED_IDS = 8_192;

export async function probeSubordinateIds({ subject }: ProbeContext): Promise<ProbeResult> {
  const { ok, warn } = verdicts({
    id: 'subordinate-ids',
    title: 'Subordinate ids',
    meaning: 'a private host user for each sandbox',
  });
  const cost = 'all sandboxes share one host user: they are told apart by namespaces only';
  if (subject.name === 'nobody') {
    return warn('the user "wafer" does not exist yet', cost, 'bash infra/setup.sh');
  }
  const helper = await runProgram(['sh', '-c', 'command -v newuidmap && command -v newgidmap']);
  if (!helper.ok) return warn('newuidmap is missing', cost, 'sudo apt-get install uidmap');
  for (const [file, flag] of [
    ['/etc/subuid', '--add-subuids'],
    ['/etc/subgid', '--add-subgids'],
  ] as const) {
    const size = largest(parseRanges((await readKernelFile(file)) ?? '', subject))?.count ?? 0;
    if (size >= WANTED_IDS) continue;
    const found = size === 0 ? `${subject.name} has no range in ${file}` : `only ${size} ids in ${file}`;
    return warn(found, cost, `sudo usermod ${flag} 100000-165535 ${subject.name}   (or another free range)`);
  }
  const range = largest(parseRanges((await readKernelFile('/etc/subuid')) ?? '', subject));
  return ok(`${range?.count ?? 0} from ${range?.first ?? 0} for ${subject.name}`);
}
