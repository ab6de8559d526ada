/**
 * A container's runs: from `start` to the record of its end, and again by its restart policy.
 * `start` is called with the container alone; what follows an exit is not, since who waits for
 * the exit may hold it.
 */
import type { SandboxExit } from '../../../runtime/sandbox/index.ts';
import { assertAllowed, PROVEN_MS, restartDelayMs, wantsRestart } from '../../core/containers/state.ts';
import type { TerminalSize } from '../../core/containers/types.ts';
import { coerceError, WaferError } from '../../core/errors.ts';
import type { Context } from './context.ts';
import { type Entry, type Run, wakeWaiters } from './entry.ts';
import { exitCodeOf, exitError, startError } from './exits.ts';
import { beginRun } from './run.ts';

export interface Runner {
  /** @throws WaferError `conflict | container_start_failed | engine_failed | shutting_down` */
  start(entry: Entry, size?: TerminalSize): Promise<void>;
  /** Called off: it stays as it is. */
  cancelRestart(entry: Entry): void;
}

export interface RunnerDeps extends Context {
  /** Removes it; it is not alone. */
  remove(entry: Entry): Promise<void>;
}

/** What a container ends with that never ran, as with Docker. */
const NOT_STARTED = 125;

export function createRunner(context: RunnerDeps): Runner {
  const start = async (entry: Entry, size?: TerminalSize) => {
    if (context.closing.aborted) throw new WaferError('shutting_down', 'Wafer is stopping and starts no container.');
    assertAllowed('start', entry.record);
    clearTimeout(entry.restartTimer);
    try {
      await beginRun(context, entry, size, onExit(entry));
    } catch (error) {
      throw await noteFailedStart(context, entry, error);
    }
  };
  const later = (entry: Entry) => startLater(context, entry, start);
  const onExit = (entry: Entry) => async (exit: SandboxExit, mine: Run) => {
    const willRestart = await recordExit(context, entry, mine, exit);
    if (willRestart) later(entry);
    else if (entry.record.config.removeOnExit)
      void context.remove(entry).catch((err: unknown) => complain(context, entry, err, 'could not be removed'));
  };
  return {
    start,
    cancelRestart(entry) {
      clearTimeout(entry.restartTimer);
      entry.restartTimer = undefined;
    },
  };
}

function complain({ log }: Context, { record }: Entry, err: unknown, what: string): void {
  log.error({ err, container: record.name }, `a container ${what}`);
}

async function noteFailedStart({ shelf }: Context, entry: Entry, error: unknown): Promise<unknown> {
  const known = startError(error, entry.record.name, entry.record.argv[0] ?? '');
  const told = known instanceof WaferError ? known.details?.['exitCode'] : undefined;
  const exitCode = typeof told === 'number' ? told : NOT_STARTED;
  await shelf.step(entry, { type: 'start_failed', error: coerceError(known).message, exitCode });
  entry.audience.end(exitCode);
  wakeWaiters(entry);
  return known;
}

/** After the back-off. A start that failed counts like a run that failed. */
function startLater(context: Context, entry: Entry, start: (entry: Entry) => Promise<void>): void {
  const tryNow = () =>
    entry.exclusive(async () => {
      if (entry.isRemoved || entry.record.status !== 'restarting') return;
      entry.record = { ...entry.record, restartCount: entry.record.restartCount + 1 };
      await start(entry);
    });
  const failed = async (err: unknown) => {
    if (context.closing.aborted) return;
    context.log.warn({ err, container: entry.record.name }, 'a container could not be started again');
    const { config, exitCode, restartCount } = entry.record;
    if (entry.isRemoved || entry.run !== null || !wantsRestart(config.restart, exitCode ?? 1, restartCount)) return;
    await context.shelf.save(entry, (record) => ({ ...record, status: 'restarting' }));
    startLater(context, entry, start);
  };
  entry.restartTimer = setTimeout(
    () =>
      void tryNow()
        .catch(failed)
        .catch((err: unknown) => complain(context, entry, err, 'could not be recorded')),
    restartDelayMs(entry.failuresInARow),
  ).unref();
  entry.failuresInARow += 1;
}

/** Whether its policy starts it again. Whoever waits for the end is told when the record has it. */
async function recordExit(context: Context, entry: Entry, mine: Run, exit: SandboxExit): Promise<boolean> {
  mine.ports.close();
  mine.health?.stop();
  await entry.log.end();
  const { config, startedAt, restartCount, stoppedByHand } = entry.record;
  const exitCode = exitCodeOf(exit);
  const time = Date.now();
  if (time - (startedAt ?? time) >= PROVEN_MS) entry.failuresInARow = 0;
  const isClosing = context.closing.aborted;
  const cutByPlatform = isClosing && !stoppedByHand;
  const willRestart = !mine.isStopping && !isClosing && wantsRestart(config.restart, exitCode, restartCount);
  const error = cutByPlatform ? 'The platform stopped.' : exitError(exit);
  const ending = { exitCode, oomKilled: exit.reason === 'oom', error, time, willRestart };
  entry.run = null;
  await context.shelf
    .step(entry, { type: 'ended', ...ending }, { cutByPlatform })
    .catch((err: unknown) => complain(context, entry, err, 'ended, which could not be recorded'));
  entry.audience.end(exitCode);
  entry.log.poke();
  wakeWaiters(entry);
  return willRestart;
}
