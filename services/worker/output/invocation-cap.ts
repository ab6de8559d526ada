/**
 * How much of one invocation's output is kept. What comes above it is dropped behind a mark, so that one that never
 * stops printing does not push the lines of all others out of the function's log.
 */
import type { LogSink } from '../../core/invocations/types.ts';

const LINE_OVERHEAD_BYTES = 100;
/** Invocations of late that printed something; who comes back after so many others begins anew. */
const KNOWN = 10_000;
const KIB = 1024;

export function capInvocations(logs: LogSink, maxBytes: number): LogSink {
  /** In the order of their last lines. */
  const used = new Map<string, number>();
  const count = (invocationId: string, bytes: number): number => {
    const before = used.get(invocationId) ?? 0;
    used.delete(invocationId);
    used.set(invocationId, before + bytes);
    const [oldest] = used.keys();
    if (used.size > KNOWN && oldest !== undefined) used.delete(oldest);
    return before;
  };
  return {
    write(line) {
      const { invocationId, stream, text } = line;
      if (invocationId === undefined || stream === 'platform') return logs.write(line);
      const bytes = text.length + LINE_OVERHEAD_BYTES;
      const before = count(invocationId, bytes);
      if (before + bytes <= maxBytes) return logs.write(line);
      // The line that crosses the limit leaves the mark in its place.
      if (before <= maxBytes) logs.write({ ...line, stream: 'platform', text: mark(maxBytes) });
    },
  };
}

const mark = (maxBytes: number) =>
  `Output of this invocation is dropped from here on: it wrote more than ${Math.round(maxBytes / KIB)} KiB (WAFER_LOG_INVOCATION_KB).`;
