/** Turns raw chunks of stdout and stderr into log lines; long lines are cut with a mark. */
import { StringDecoder } from 'node:string_decoder';
import type { LogSink } from '../../core/invocations/types.ts';

export interface OutputLines {
  write(stream: 'stdout' | 'stderr', chunk: Buffer): void;
  /** Emits what has no newline yet, so that nothing of one call is joined to a line of the next. */
  flush(): void;
}

/** Where lines go, and whether any is wanted now; see metered-log.ts. */
export interface LineSink extends LogSink {
  isShut(): boolean;
  drop(bytes: number, invocationId: string | undefined): void;
}

/** Who logs, as lines name it. */
export interface Origin {
  functionName: string;
  version: number;
  instanceId: string;
}

export function logOutput(
  origin: Origin,
  sink: LineSink,
  maxBytes: number,
  invocation: () => string | undefined,
): OutputLines {
  const streams = { stdout: lineSplitter(maxBytes), stderr: lineSplitter(maxBytes) };
  const emit = (stream: 'stdout' | 'stderr', text: string) => {
    const invocationId = invocation();
    sink.write({ time: Date.now(), ...origin, ...(invocationId === undefined ? {} : { invocationId }), stream, text });
  };
  return {
    write(stream, chunk) {
      if (!sink.isShut()) return streams[stream].push(chunk, (text) => emit(stream, text));
      streams[stream].skip(chunk);
      sink.drop(chunk.length, invocation());
    },
    flush() {
      for (const stream of ['stdout', 'stderr'] as const) streams[stream].end((text) => emit(stream, text));
    },
  };
}

export function lineSplitter(maxBytes: number) {
  const decoder = new StringDecoder('utf8');
  /** What came after the last newline, and whether it belongs to a line that was cut before. */
  let rest = '';
  let cut = false;
  /** The mark fits in, or the store would cut again and count the mark. */
  const shorten = (text: string) => `${text.slice(0, maxBytes - Buffer.byteLength('…'))}…`;
  const take = (text: string, emit: (line: string) => void) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      if (!cut) emit(part.length > maxBytes ? shorten(part) : part);
      cut = false;
    }
    if (rest.length <= maxBytes) return;
    if (!cut) emit(shorten(rest));
    cut = true; // the line goes on; nothing more of it is kept
    rest = '';
  };
  return {
    push: (chunk: Buffer, emit: (line: string) => void) => take(decoder.write(chunk), emit),
    /** Passes over bytes without making lines of them; a line that began in them is not shown either. */
    skip: (chunk: Buffer) => {
      rest = '';
      cut = chunk.at(-1) !== 10;
    },
    end: (emit: (line: string) => void) => {
      const last = rest + decoder.end();
      if (last !== '' && !cut) emit(last);
      rest = '';
      cut = false;
    },
  };
}
