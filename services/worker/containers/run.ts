/** One run: ports, sandbox, output, health check; until its sandbox is gone. */
import type { Sandbox, SandboxExit } from '../../../runtime/sandbox/index.ts';
import { healthArgv, healthOf } from '../../core/containers/plan.ts';
import type { TerminalSize } from '../../core/containers/types.ts';
import type { Image } from '../../core/images/types.ts';
import type { Context } from './context.ts';
import type { Entry, Run } from './entry.ts';
import { ignoreGone } from './exits.ts';
import { type HealthWatch, watchHealth } from './health.ts';
import { type OpenPorts, openPorts } from './ports.ts';
import { mainSpec, programPlan } from './spec.ts';

type OnExit = (exit: SandboxExit, run: Run) => Promise<void>;

/** Resolves when its program runs and its record says so; leaves nothing when it throws. */
export async function beginRun(
  context: Context,
  entry: Entry,
  size: TerminalSize | undefined,
  onExit: OnExit,
): Promise<void> {
  const { record, audience, log } = entry;
  const image = await context.images.get(record.imageDigest);
  const spec = await mainSpec(context, entry, image, size);
  const ports = await openPorts(record.config.ports);
  let sandbox: Sandbox;
  try {
    sandbox = await context.host.create(spec);
  } catch (error) {
    ports.close();
    throw error;
  }
  sandbox.onOutput((stream, chunk) => {
    const slow = [log.write(stream, chunk), audience.say(stream, chunk)].filter((one) => one !== undefined);
    if (slow.length > 0) return Promise.all(slow).then(() => undefined);
  });
  audience.begin({ stdin: sandbox.stdin, resize: (to) => sandbox.resize(to).catch(ignoreGone) });
  ports.connectWith((port) => sandbox.connect(port));
  await begin(context, entry, { sandbox, ports, image }, onExit);
}

interface Begun {
  sandbox: Sandbox;
  ports: OpenPorts;
  image: Image;
}

/** The record says that it runs before anybody is told; a record that can not be written ends it. */
async function begin(context: Context, entry: Entry, { sandbox, ports, image }: Begun, onExit: OnExit): Promise<void> {
  let settle: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const mine: Run = { sandbox, ports, health: null, isStopping: false, over };
  entry.run = mine;
  try {
    await context.shelf.step(entry, { type: 'started', time: Date.now() });
  } catch (error) {
    entry.run = null;
    ports.close();
    await sandbox.destroy();
    await entry.log.end();
    throw error;
  }
  mine.health = healthWatch(context, entry, image, sandbox);
  void sandbox.exited
    .then((exit) => onExit(exit, mine))
    .catch((err: unknown) => context.log.error({ err, container: entry.record.name }, 'a container ended badly'))
    .then(settle);
}

const QUIET = { onOutput: () => undefined };

function healthWatch(context: Context, entry: Entry, image: Image, sandbox: Sandbox): HealthWatch | null {
  const { config } = entry.record;
  const check = healthOf(config, image.config.config);
  if (check === null) return null;
  const argv = healthArgv(check, image.config.config);
  return watchHealth({
    check,
    isSuspended: () => entry.record.status === 'paused',
    async probe(signal) {
      const plan = await programPlan(context, entry, image, { terminal: false });
      const program = await sandbox.start(argv, plan);
      program.onOutput(QUIET.onOutput);
      const kill = () => void program.signal(9).catch(() => undefined);
      if (signal.aborted) kill();
      signal.addEventListener('abort', kill, { once: true });
      const { status } = await program.exited;
      signal.removeEventListener('abort', kill);
      return status === 0;
    },
  });
}
