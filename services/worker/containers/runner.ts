/**
 * A container's runs: from `start` to the record of its end, and again by its restart policy.
 * `start` is called with the container alone; what follows an exit is not, since who waits for
 * the exit may hold it.
 */
import type { Sandbox, SandboxExit } from '../../../runtime/sandbox/index.ts';
import { healthArgv, healthOf } from '../../core/containers/plan.ts';
import { assertAllowed, PROVEN_MS, restartDelayMs, wantsRestart } from '../../core/containers/state.ts';
import type { TerminalSize } from '../../core/containers/types.ts';
import { coerceError, WaferError } from '../../core/errors.ts';
import type { Image } from '../../core/images/types.ts';
import type { Context } from './context.ts';
import { type Entry, type Run, wakeWaiters } from './entry.ts';
import { exitCodeOf, exitError, ignoreGone, startError } from './exits.ts';
import { type HealthWatch, watchHealth } from './health.ts';
import { type OpenPorts, openPorts } from './ports.ts';
import { mainSpec, programPlan } from './spec.ts';

export interface Runner {
  /** @throws WaferError `conflict | container_start_failed | engine_failed` */
  start(entry: Entry, size?: TerminalSize): Promise<void>;
  /** Called off: it stays as it is. */
  cancelRestart(entry: Entry): void;
}

export interface RunnerDeps extends Context {
  /** Removes it; it is not alone. */
  remove(entry: Entry): Promise<void>;
}

export function createRunner(context: RunnerDeps): Runner {
  const start = async (entry: Entry, size?: TerminalSize) => {
    const { record } = entry;
    if (context.closing.aborted) throw new WaferError('shutting_down', 'Wafer is stopping and starts no container.');
    assertAllowed('start', record);
    clearTimeout(entry.restartTimer);
    try {
      await run(context, entry, size, (exit, mine) => onExit(entry, mine, exit));
    } catch (error) {
      const known = startError(error, record.name, record.argv[0] ?? '');
      const exitCode = known instanceof WaferError ? known.details?.['exitCode'] : undefined;
      const more = typeof exitCode === 'number' ? { exitCode } : {};
      await context.shelf.step(
        entry,
        { type: 'start_failed', error: coerceError(known).message, time: Date.now() },
        more,
      );
      entry.audience.end(typeof exitCode === 'number' ? exitCode : 125);
      wakeWaiters(entry);
      throw known;
    }
  };

  const restartLater = (entry: Entry) => {
    entry.restartTimer = setTimeout(() => {
      void entry
        .exclusive(async () => {
          if (entry.isRemoved || entry.record.status !== 'restarting') return;
          entry.record = { ...entry.record, restartCount: entry.record.restartCount + 1 };
          await start(entry);
        })
        .catch((err: unknown) => {
          if (context.closing.aborted) return;
          context.log.warn({ err, container: entry.record.name }, 'a container could not be started again');
          entry.failuresInARow += 1;
          void tryAgain(entry);
        });
    }, restartDelayMs(entry.failuresInARow)).unref();
  };

  /** A start that failed counts like a run that failed. */
  const tryAgain = async (entry: Entry) => {
    const { record } = entry;
    if (entry.isRemoved || entry.run !== null || record.status === 'running') return;
    if (!wantsRestart(record.config.restart, record.exitCode ?? 1, record.restartCount)) return;
    await context.shelf.save(entry, (now) => ({ ...now, status: 'restarting' })).catch(() => undefined);
    restartLater(entry);
  };

  const onExit = async (entry: Entry, mine: Run, exit: SandboxExit) => {
    const { record } = entry;
    const exitCode = exitCodeOf(exit);
    mine.ports.close();
    mine.health?.stop();
    await entry.log.end();
    const isCut = context.closing.aborted;
    const time = Date.now();
    if (time - (record.startedAt ?? time) >= PROVEN_MS) entry.failuresInARow = 0;
    const willRestart =
      !mine.isStopping && !isCut && wantsRestart(record.config.restart, exitCode, record.restartCount);
    const error = isCut && !entry.record.stoppedByHand ? 'The platform stopped.' : exitError(exit);
    const oomKilled = exit.reason === 'oom';
    entry.run = null;
    await context.shelf
      .step(
        entry,
        { type: 'ended', exitCode, oomKilled, error, time, willRestart },
        { cutByPlatform: isCut && !entry.record.stoppedByHand },
      )
      .catch((err: unknown) => context.log.error({ err, container: record.name }, 'the end of a container could not be recorded'));
    entry.audience.end(exitCode);
    entry.log.poke();
    wakeWaiters(entry);
    if (willRestart) {
      restartLater(entry);
      entry.failuresInARow += 1;
    } else if (record.config.removeOnExit)
      void context
        .remove(entry)
        .catch((err: unknown) => context.log.error({ err, container: record.name }, 'a container could not be removed'));
  };

  return {
    start,
    cancelRestart(entry) {
      clearTimeout(entry.restartTimer);
      entry.restartTimer = undefined;
    },
  };
}

type OnExit = (exit: SandboxExit, run: Run) => Promise<void>;

async function run(context: Context, entry: Entry, size: TerminalSize | undefined, onExit: OnExit): Promise<void> {
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
