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

/** Lines go out together when they come together: one at a time would cost more than making them. */
const BATCH = 16 * 1024;

/**
 * Pulls values only while the reader takes them. What is there goes out as soon as nothing more
 * comes at once. `signal` ends the stream as if the source had ended; an error of the source destroys it.
 */
export function writeLines(
  source: AsyncIterable<object>,
  format: LineFormat,
  signal: AbortSignal,
  heartbeatMs: number,
): Readable {
  const iterator = source[Symbol.asyncIterator]();
  const { heartbeat } = format;
  let isPulling = false;
  let isFull = false;
  let batch = '';
  let soon: NodeJS.Immediate | undefined;
  const output = new Readable({
    read() {
      isFull = false;
      void pull();
    },
  });
  const flush = () => {
    clearImmediate(soon);
    soon = undefined;
    const text = batch;
    batch = '';
    if (text !== '' && !output.destroyed && !output.push(text)) isFull = true;
  };
  const pull = async () => {
    if (isPulling) return;
    isPulling = true;
    try {
      while (!isFull && !output.destroyed) {
        const next = await iterator.next();
        if (next.done === true) {
          flush();
          return void (output.destroyed || output.push(null));
        }
        batch += format.line(next.value);
        if (batch.length >= BATCH) flush();
        else soon ??= setImmediate(flush);
      }
    } catch (error) {
      flush();
      if (signal.aborted) output.push(null);
      else output.destroy(error as Error);
    } finally {
      isPulling = false;
    }
  };
  const beat = setInterval(() => {
    if (heartbeat !== null && output.readableLength === 0) output.push(heartbeat);
  }, heartbeatMs);
  beat.unref();
  output.once('close', () => {
    clearInterval(beat);
    // Ends a source that does not listen to the signal. Its own end has nobody left to report to.
    void Promise.resolve(iterator.return?.()).catch(() => {});
  });
  if (heartbeat !== null) output.push(heartbeat);
  return output;
}
