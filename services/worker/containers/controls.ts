/** Stop, kill, pause and their like. */
import { stopSignalOf } from '../../core/containers/plan.ts';
import { signalNumber } from '../../core/containers/signals.ts';
import { assertAllowed } from '../../core/containers/state.ts';
import type { Containers, TerminalSize } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import type { Context } from './context.ts';
import { describe, type Entry, type Run } from './entry.ts';
import { asWaferError, ignoreGone } from './exits.ts';
import type { Runner } from './runner.ts';

const SIGKILL = 9;

type Controls = Pick<Containers, 'start' | 'stop' | 'kill' | 'restart' | 'pause' | 'unpause'>;

export function createControls(context: Context, runner: Runner): Controls {
  const { shelf } = context;
  const start = async (entry: Entry, size?: TerminalSize) => {
    entry.failuresInARow = 0;
    entry.record = { ...entry.record, restartCount: 0 };
    await runner.start(entry, size);
  };
  const stop = async (entry: Entry, timeoutSeconds?: number) => {
    if (entry.record.status === 'restarting') {
      runner.cancelRestart(entry);
      await shelf.step(entry, { type: 'gave_up' }, { stoppedByHand: true });
      return;
    }
    if (entry.run === null) return;
    entry.record = { ...entry.record, stoppedByHand: true };
    await endRun(context, entry, timeoutSeconds ?? entry.record.config.stopTimeoutSeconds);
  };
  return {
    start: (ref, size) =>
      shelf.alone(ref, async (entry) => {
        if (entry.record.status !== 'running') await start(entry, size);
        return describe(entry);
      }),
    stop: (ref, timeoutSeconds) =>
      shelf.alone(ref, async (entry) => {
        await stop(entry, timeoutSeconds);
        return describe(entry);
      }),
    restart: (ref, timeoutSeconds) =>
      shelf.alone(ref, async (entry) => {
        await stop(entry, timeoutSeconds);
        await start(entry);
        return describe(entry);
      }),
    // Not alone: it is for what a stop waits for, too.
    async kill(ref, signal) {
      const entry = shelf.find(ref);
      const number = signalNumber(signal);
      assertAllowed('kill', entry.record);
      const { run } = entry;
      if (run !== null) await sendSignal(context, entry, run, number);
    },
    pause: (ref) => shelf.alone(ref, (entry) => pause(context, entry)),
    unpause: (ref) => shelf.alone(ref, (entry) => unpause(context, entry)),
  };
}

async function sendSignal({ images, shelf }: Context, entry: Entry, run: Run, signal: number): Promise<void> {
  const { record } = entry;
  if (record.status === 'paused' && signal !== SIGKILL)
    throw new WaferError('conflict', `The container ${record.name} is paused and takes no signal but SIGKILL.`, {
      hint: 'Unpause it first.',
    });
  const image = await images.find(record.imageDigest);
  if (signal === SIGKILL || signal === stopSignalOf(record.config, image?.config.config ?? {})) {
    run.isStopping = true;
    entry.record = { ...entry.record, stoppedByHand: true };
  }
  await signalAwake(shelf, entry, run, signal);
}

/** What is paused could not take it. */
async function signalAwake(shelf: Context['shelf'], entry: Entry, run: Run, signal: number): Promise<void> {
  try {
    if (entry.record.status === 'paused') {
      await run.sandbox.thaw();
      if (entry.run === run) await shelf.step(entry, { type: 'unpaused' });
    }
    await run.sandbox.signal(signal);
  } catch (error) {
    ignoreGone(error);
  }
}

/** Its stop signal, then SIGKILL for all of it after the grace. Resolves when its record says that it ended. */
export async function endRun({ images, shelf }: Context, entry: Entry, graceSeconds: number): Promise<void> {
  const { run, record } = entry;
  if (run === null) return;
  run.isStopping = true;
  const image = await images.find(record.imageDigest).catch(() => null);
  const timer = setTimeout(() => void run.sandbox.destroy().catch(() => undefined), graceSeconds * 1000);
  try {
    await signalAwake(shelf, entry, run, stopSignalOf(record.config, image?.config.config ?? {}));
    await run.over;
  } finally {
    clearTimeout(timer);
  }
}

async function pause({ shelf }: Context, entry: Entry) {
  assertAllowed('pause', entry.record);
  try {
    await entry.run?.sandbox.freeze();
  } catch (error) {
    throw asWaferError(error, `The container ${entry.record.name} could not be paused`);
  }
  if (entry.run !== null) await shelf.step(entry, { type: 'paused' });
  return describe(entry);
}

async function unpause({ shelf }: Context, entry: Entry) {
  assertAllowed('unpause', entry.record);
  try {
    await entry.run?.sandbox.thaw();
  } catch (error) {
    throw asWaferError(error, `The container ${entry.record.name} could not be unpaused`);
  }
  if (entry.run !== null) await shelf.step(entry, { type: 'unpaused' });
  return describe(entry);
}
