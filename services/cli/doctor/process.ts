import { createClient } from '../client.ts';
import { isAtLeast } from './kernel.ts';
import { type ProbeContext, type ProbeResult, verdicts } from './probe.ts';

const OLDEST_NODE: readonly [number, number] = [20, 19];

export async function probeNode(): Promise<ProbeResult> {
  const { ok, fail } = verdicts({ id: 'node', title: 'Node', meaning: 'runs the platform, not the functions' });
  const version = process.versions.node;
  if (isAtLeast(version, OLDEST_NODE)) return ok(`v${version}`);
  return fail(`v${version}`, 'Wafer needs Node 20.19 or newer', 'Install a newer Node.js, 24 for example.');
}

export async function probeUser({ subject }: ProbeContext): Promise<ProbeResult> {
  const { ok, warn } = verdicts({ id: 'user', title: 'User', meaning: 'the platform has no root on the host' });
  if (process.getuid?.() !== 0) return ok(`${subject.name}, uid ${subject.uid}`);
  if (subject.name === 'wafer') return ok(`called by root; probed as the user wafer, uid ${subject.uid}`);
  return warn(
    'called by root, and the user "wafer" does not exist',
    '"wafer up" refuses to run as root',
    'bash infra/setup.sh',
  );
}

/** Only told when a platform answers: then its own word counts, not a guess. Never fails. */
export async function probePlatform({ env }: ProbeContext): Promise<ProbeResult | null> {
  const { ok, warn } = verdicts({
    id: 'platform',
    title: 'Platform',
    meaning: 'the running platform, as it sees itself',
  });
  try {
    const client = createClient(env);
    const { ok: isReady, checks } = await client.ready();
    const text = checks
      .map(({ name, ok: good, message }) => `${name} ${message ?? (good ? 'ok' : 'not ok')}`)
      .join('; ');
    const found = `${client.url}: ${text}`;
    return isReady ? ok(found) : warn(found, 'calls fail', 'Read its log: it says why.');
  } catch {
    return null;
  }
}
