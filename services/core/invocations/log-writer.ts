/** The way of a function's output into its stream: never throws, never waits, and loses lines only with a visible mark. */
import type { Redis } from 'ioredis';
import type { Log } from '../log.ts';
import { withStore } from '../store/errors.ts';
import type { Keys } from '../store/keys.ts';
import { appendLogsScript } from '../store/scripts/invocations.ts';
import { runScript } from '../store/scripts/script.ts';
import { createBatcher } from './batcher.ts';
import { cutText } from './cut-text.ts';
import { toArguments } from './log-entry.ts';
import type { LogLine, LogSink } from './types.ts';

/** Against a function that floods its output: for the memory of this process and of Redis. */
export const LOG_LIMITS = {
  flushMs: 10,
  maxBatchItems: 1000,
  maxBatchBytes: 1024 * 1024,
  maxPendingItems: 20_000,
  maxPendingBytes: 16 * 1024 * 1024,
  lineBytes: 64 * 1024,
  linesPerFunction: 10_000,
  bytesPerFunction: 8 * 1024 * 1024,
  keepMs: 7 * 86_400_000,
};
export type LogLimits = typeof LOG_LIMITS;

const LINE_OVERHEAD_BYTES = 200;

export interface LogWriter extends LogSink {
  flush(): Promise<void>;
}

export interface LogWriterOptions {
  redis: Redis;
  keys: Keys;
  log: Log;
  limits: LogLimits;
  /** Must not throw. */
  onDrop: (count: number) => void;
}

/** A mark stands for so many lost lines, which must not be forgotten when it is lost itself. */
type PendingLine = LogLine & { lost?: number };

/** Lines of one function that were lost, and the last of them. */
interface Loss {
  count: number;
  last: LogLine;
}

export function createLogWriter({ redis, keys, log, limits, onDrop }: LogWriterOptions): LogWriter {
  const losses = new Map<string, Loss>();

  const batcher = createBatcher<PendingLine>({
    ...limits,
    sizeOf: ({ text }) => text.length + LINE_OVERHEAD_BYTES,
    write: (batch) => withStore('keep log lines', () => append(redis, keys, limits, batch)),
    onDrop: (lines) => {
      for (const line of lines) lose(losses, line);
      onDrop(lines.filter(({ lost }) => lost === undefined).length);
    },
    onError: (err) => log.warn({ err }, 'log lines could not be kept yet'),
    onEmpty: () => {
      for (const name of [...losses.keys()]) tellLoss(name);
    },
  });

  /** The mark goes where the lines are missing: behind what was there before, in front of what comes now. */
  function tellLoss(functionName: string): void {
    const loss = losses.get(functionName);
    if (loss === undefined) return;
    losses.delete(functionName);
    const { last, count } = loss;
    const text = `${count} log ${count === 1 ? 'line' : 'lines'} dropped: output came faster than it could be stored`;
    const { time, version, instanceId } = last;
    batcher.add({ time, functionName, version, instanceId, stream: 'platform', text, lost: count });
  }

  return {
    write: (line) => {
      // Not at once when there is room for one again, or every second line would be such a mark.
      if (losses.size > 0 && batcher.pending() < limits.maxPendingItems / 2) tellLoss(line.functionName);
      batcher.add({ ...line, text: cutText(line.text, limits.lineBytes) });
    },
    flush: () => batcher.flush(),
  };
}

function lose(losses: Map<string, Loss>, line: PendingLine): void {
  const loss = losses.get(line.functionName);
  losses.set(line.functionName, { count: (loss?.count ?? 0) + (line.lost ?? 1), last: { ...line, text: '' } });
}

async function append(redis: Redis, keys: Keys, limits: LogLimits, batch: LogLine[]): Promise<void> {
  const names = [...new Set(batch.map(({ functionName }) => functionName))];
  const positions = new Map(names.map((name, index) => [name, index + 1]));
  const lines = batch.flatMap((line) => [positions.get(line.functionName) ?? 0, ...toArguments(line)]);
  const settings = [limits.linesPerFunction, limits.bytesPerFunction, limits.keepMs];
  await runScript(redis, appendLogsScript, names.map(keys.logs), [...settings, ...lines]);
}
