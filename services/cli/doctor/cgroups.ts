/** Which limit mode the engine would choose, and why not a better one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ProbeContext, type ProbeResult, type Subject, verdicts } from './probe.ts';
import { readKernelFile, runScript } from './shell.ts';

const ROOT = '/sys/fs/cgroup';
const NEEDED = ['memory', 'pids'] as const;

const COST = 'memory and processes are held by rlimits and a watcher only, CPU not at all';

/** `controllers -> path` of /proc/self/cgroup; v2 has the empty key. */
export function parseOwnCgroups(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  return paths;
}

async function mayWrite(subject: Subject, ...paths: string[]): Promise<boolean> {
  return (await runScript(subject, [], 'for p; do test -w "$p"; done', paths)).ok;
}

/** How this user gets a delegated subtree: by systemd's user manager if there is one. */
function delegationFix({ subject, env }: ProbeContext): string {
  const runtimeDir = env['XDG_RUNTIME_DIR'] ?? `/run/user/${subject.uid}`;
  if (existsSync(join(runtimeDir, 'systemd', 'private'))) return 'systemd-run --user --scope -p Delegate=yes wafer up';
  if (existsSync('/run/systemd/system')) {
    return `sudo loginctl enable-linger ${subject.name}, log in anew, then: systemd-run --user --scope -p Delegate=yes wafer up`;
  }
  return 'bash infra/setup.sh   (hands a cgroup subtree to the user)';
}

async function probeV2(context: ProbeContext, path: string): Promise<ProbeResult> {
  const { ok, warn } = cgroupVerdicts();
  const folder = join(ROOT, path);
  const controllers = ((await readKernelFile(join(folder, 'cgroup.controllers'))) ?? '').split(' ');
  const isOurs = await mayWrite(
    context.subject,
    folder,
    join(folder, 'cgroup.procs'),
    join(folder, 'cgroup.subtree_control'),
  );
  if (!isOurs)
    return warn(`none: cgroup v2 at ${path} is not delegated to ${context.subject.name}`, COST, delegationFix(context));
  const missing = NEEDED.filter((name) => !controllers.includes(name));
  if (missing.length > 0) {
    const dropIn = '/etc/systemd/system/user@.service.d/delegate.conf';
    return warn(
      `none: cgroup v2 without ${missing.join(' and ')}`,
      COST,
      `printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee ${dropIn}, then: sudo systemctl daemon-reload and log in anew`,
    );
  }
  if (!controllers.includes('cpu')) return warn('v2, without cpu', 'CPU is not limited', delegationFix(context));
  return ok(`v2: ${path} is delegated with ${controllers.join(', ')}`);
}

/** v1 has no delegation of its own: set-up makes a folder in each hierarchy and gives it to the user. */
async function probeV1(context: ProbeContext): Promise<ProbeResult> {
  const { ok, warn } = cgroupVerdicts();
  const isOurs = async (name: string): Promise<boolean> => {
    const shared = join(ROOT, name, 'wafer');
    return (
      (await mayWrite(context.subject, join(shared, String(context.subject.uid)))) || mayWrite(context.subject, shared)
    );
  };
  for (const name of NEEDED) {
    if (await isOurs(name)) continue;
    const found = `none: ${join(ROOT, name, 'wafer')} is not handed to ${context.subject.name}`;
    return warn(found, COST, 'bash infra/setup.sh   (hands a subtree of cgroup v1 to the user)');
  }
  if (await isOurs('cpu')) return ok('v1: a subtree of memory, pids and cpu is handed over');
  return warn('v1, without cpu', 'CPU is not limited', 'bash infra/setup.sh');
}

const cgroupVerdicts = () =>
  verdicts({
    id: 'limits',
    title: 'Limits',
    meaning: 'the kernel holds each sandbox to its memory, CPU and processes',
  });

export async function probeCgroups(context: ProbeContext): Promise<ProbeResult> {
  const own = parseOwnCgroups((await readKernelFile('/proc/self/cgroup')) ?? '');
  const forced = context.env['WAFER_LIMITS'];
  const { warn } = cgroupVerdicts();
  if (forced === 'none') return warn('none: WAFER_LIMITS=none', COST, 'unset WAFER_LIMITS');
  const unified = existsSync(join(ROOT, 'cgroup.controllers'));
  if (unified) return probeV2(context, own.get('') ?? '/');
  if (own.has('memory')) return probeV1(context);
  return warn('none: no cgroups are mounted', COST, 'Mount cgroup v2 at /sys/fs/cgroup, or boot with systemd.');
}
