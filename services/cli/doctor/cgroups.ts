/** Which limit mode the engine would choose, and why not a better one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ProbeContext, type ProbeResult, type Subject, verdicts } from './probe.ts';
import { readKernelFile, runProgram, runScript } from './shell.ts';

const ROOT = '/sys/fs/cgroup';
const NEEDED = ['memory', 'pids'] as const;

const DELEGATED_UP = 'systemd-run --user --scope -p Delegate=yes wafer up';
const DROP_IN =
  "sudo mkdir -p /etc/systemd/system/user@.service.d, then: printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf, then: sudo systemctl daemon-reload and log in anew";
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
  if (existsSync(join(runtimeDir, 'systemd', 'private'))) return DELEGATED_UP;
  if (existsSync('/run/systemd/system')) {
    return `sudo loginctl enable-linger ${subject.name}, log in anew, then: ${DELEGATED_UP}`;
  }
  return 'bash infra/setup.sh   (hands a cgroup subtree to the user)';
}

const OWN_CONTROLLERS = 'cat "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/cgroup.controllers"';

/** What a scope of systemd would have, as `npm start` makes one (infra/enter.sh); null: it can not be made. */
async function scopeControllers({ uid, prefix }: Subject): Promise<string[] | null> {
  if (!existsSync('/run/systemd/system')) return null;
  // Called by root, `npm start` makes the scope as root and gives it away.
  const manager = prefix.length === 0 ? ['--user'] : [];
  const scope = ['systemd-run', ...manager, '--quiet', '--scope', '--collect', '-p', 'Delegate=yes'];
  const env = { XDG_RUNTIME_DIR: `/run/user/${uid}` };
  const { ok, stdout } = await runProgram([...scope, 'sh', '-euc', OWN_CONTROLLERS], env);
  return ok ? stdout.split(' ') : null;
}

/** From a login session: its own group is systemd's, so what counts is what `npm start` gets. */
async function probeScope(context: ProbeContext, path: string): Promise<ProbeResult> {
  const { ok, warn } = cgroupVerdicts();
  const { subject } = context;
  const controllers = await scopeControllers(subject);
  if (controllers === null)
    return warn(`none: cgroup v2 at ${path} is not delegated to ${subject.name}`, COST, delegationFix(context));
  const missing = NEEDED.filter((name) => !controllers.includes(name));
  if (missing.length > 0) return warn(`none: systemd delegates no ${missing.join(' and ')}`, COST, DROP_IN);
  const found = `v2: "npm start" runs in a scope of systemd with ${controllers.join(', ')}`;
  if (!controllers.includes('cpu')) return warn(found, 'CPU is not limited', DROP_IN);
  if (subject.prefix.length > 0) return ok(found);
  return ok(`${found}; without npm: ${DELEGATED_UP}`);
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
  if (!isOurs) return probeScope(context, path);
  const missing = NEEDED.filter((name) => !controllers.includes(name));
  if (missing.length > 0) return warn(`none: cgroup v2 without ${missing.join(' and ')}`, COST, DROP_IN);
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
    meaning: 'the kernel holds each sandbox to its memory and processes',
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
