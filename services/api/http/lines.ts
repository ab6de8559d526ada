/** Streams of JSON objects: one a line, or one a server-sent event. */
import { Readable } from 'node:stream';

export interface LineFormat {
  contentType: string;
  /** `cursor` lets a client come back at the same place. */
  line(value: object & { cursor?: string }): string;
  /** Said at the start and when nothing else is, so that both ends notice when the other is gone; `null` where the format has no such thing. */
  heartbeat: string | null;
}

export const NDJSON_LINES: LineFormat = {
  contentType: 'application/x-ndjson',
  line: (value) => `${JSON.stringify(value)}\n`,
  heartbeat: null,
};

export const SSE_LINES: LineFormat = {
  contentType: 'text/event-stream',
  line: (value) => `${value.cursor === undefined ? '' : `id: ${value.cursor}\n`}data: ${JSON.stringify(value)}\n\n`,
  heartbeat: ': still here\n\n',
};

/**
 * Pulls the next value only when the reader has taken the last. `signal` ends the stream as if
 * the source had ended; an error of the source destroys it.
 */
export function writeLines(
  source: AsyncIterable<object>,
  format: LineFormat,
  signal: AbortSignal,
  heartbeatMs: number,
): Readable {
  const iterator = source[Symbol.asyncIterator]();
  const { heartbeat } = format;
  const output = new Readable({ read: () => void pull() });
  const beat = setInterval(() => {
    if (heartbeat !== null && output.readableLength === 0) output.push(heartbeat);
  }, heartbeatMs);
  beat.unref();
  let pulling = false;
  const pull = async () => {
    if (pulling) return;
    pulling = true;
    try {
      const next = await iterator.next();
      pulling = false;
      if (!output.destroyed) output.push(next.done === true ? null : format.line(next.value));
    } catch (error) {
      if (signal.aborted) output.push(null);
      else output.destroy(error as Error);
    }
  };
  output.once('close', () => {
    clearInterval(beat);
    // Ends a source that does not listen to the signal. Its own end has nobody left to report to.
    void Promise.resolve(iterator.return?.()).catch(() => {});
  });
  if (heartbeat !== null) output.push(heartbeat);
  return output;
}
