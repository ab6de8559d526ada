/**
 * Writes what a container prints to `log.ndjson`; at half of the byte cap that file becomes
 * `log.1.ndjson` and the one before goes. Readers see by the entries' numbers what is gone.
 *
 * Whoever brings output is held back while too much of it waits for the disk. When the disk
 * takes nothing (it is full), lines are lost, the platform's log is told, and the gap in the
 * numbers shows to readers. Lines are not fsynced: a crash of the machine may cost the newest.
 */
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeEntry, lineCount } from './log-entry.ts';
import { type Block, createLineCutter, type LineCutter } from './log-lines.ts';
import type { OutputStream } from './types.ts';

export const LOG_FILES = { older: 'log.1.ndjson', current: 'log.ndjson' } as const;
export const LOG_BYTES = 16 * 1024 * 1024;
const MAX_BLOCK = 16 * 1024;
const MAX_WAITING = 1024 * 1024;
/** A line that is being written gets this long to be finished before a part of it is kept. */
const PART_MS = 100;

export interface LogWriter {
  /** A promise while too much waits for the disk. */
  write(stream: OutputStream, chunk: Buffer): void | Promise<void>;
  /** Number of the next line, when all that came so far is in entries. */
  cut(): number;
  /** The program has ended: no more is to come of its lines. Everything is on its way to the file when it resolves. */
  end(): Promise<void>;
  flush(): Promise<void>;
  /** Changes with every write and rotation. */
  version(): number;
  /** Resolves when `version()` is not `seen` any more, or `poke` was called. */
  changed(seen: number, signal: AbortSignal): Promise<void>;
  /** Wakes who waits for a change. */
  poke(): void;
}

export interface LogWriterOptions {
  dir: string;
  /** Number of the first line. */
  next: number;
  /** Bytes that are in the current file. */
  size: number;
  maxBytes?: number;
  onProblem: (error: unknown) => void;
}

/** Who waits for a change, and how many there were. */
function createWatch() {
  const wakers = new Set<() => void>();
  let version = 0;
  return {
    version: () => version,
    poke() {
      version += 1;
      for (const wake of [...wakers]) wake();
    },
    changed(seen: number, signal: AbortSignal): Promise<void> {
      if (seen !== version || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          wakers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        wakers.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}

/** The current file, open from the first line on until `close`; the next line opens it again. */
function createAppender(dir: string, sizeNow: number, maxBytes: number) {
  let size = sizeNow;
  let file: FileHandle | null = null;
  const close = async () => {
    const closing = file;
    file = null;
    await closing?.close();
  };
  return {
    close,
    async append(text: string) {
      if (size > 0 && size + Buffer.byteLength(text) > maxBytes / 2) {
        await close();
        await rename(join(dir, LOG_FILES.current), join(dir, LOG_FILES.older));
        size = 0;
      }
      file ??= await open(join(dir, LOG_FILES.current), 'a', 0o600);
      size += (await file.write(text)).bytesWritten;
    },
  };
}

/** Entries on their way to the file, in order. */
function createQueue({ dir, size, maxBytes = LOG_BYTES, onProblem }: LogWriterOptions, onWritten: () => void) {
  const appender = createAppender(dir, size, maxBytes);
  let pending: string[] = [];
  let bytes = 0;
  let draining: Promise<void> | null = null;
  let isFailing = false;
  const drain = async () => {
    while (pending.length > 0) {
      const texts = pending;
      pending = [];
      bytes = 0;
      try {
        for (const text of batches(texts, maxBytes / 8)) await appender.append(text);
        isFailing = false;
      } catch (error) {
        if (!isFailing) onProblem(error);
        isFailing = true;
      }
      onWritten();
    }
    draining = null;
  };
  return {
    close: () => appender.close(),
    add(entry: string) {
      pending.push(entry);
      bytes += entry.length;
      draining ??= drain();
    },
    isFull: () => bytes > MAX_WAITING,
    async flush() {
      while (draining !== null) await draining;
    },
  };
}

const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

export function createLogWriter(options: LogWriterOptions): LogWriter {
  const cutters: Record<OutputStream, LineCutter> = {
    stdout: createLineCutter(MAX_BLOCK),
    stderr: createLineCutter(MAX_BLOCK),
  };
  const watch = createWatch();
  const queue = createQueue(options, watch.poke);
  let { next } = options;
  let timer: NodeJS.Timeout | undefined;
  const keep = (stream: OutputStream, blocks: readonly Block[]) => {
    const time = Date.now();
    for (const { text, partial } of blocks) {
      queue.add(encodeEntry({ n: next, time, stream, text, ...(partial ? { partial } : {}) }));
      next += lineCount(text);
    }
  };
  const keepAll = (take: (cutter: LineCutter) => Block[]) => {
    clearTimeout(timer);
    timer = undefined;
    for (const stream of STREAMS) keep(stream, take(cutters[stream]));
    return next;
  };
  const cut = () => keepAll((cutter) => cutter.cut());
  return {
    ...watch,
    cut,
    flush: queue.flush,
    write(stream, chunk) {
      keep(stream, cutters[stream].push(chunk));
      if (cutters[stream].waiting) timer ??= setTimeout(cut, PART_MS).unref();
      if (queue.isFull()) return queue.flush();
    },
    async end() {
      keepAll((cutter) => cutter.end());
      await queue.flush();
      await queue.close();
    },
  };
}

/** Few writes, none so large that a file outgrows its share by much. */
function* batches(texts: readonly string[], maxLength: number): Generator<string> {
  let batch = '';
  for (const text of texts) {
    if (batch !== '' && batch.length + text.length > maxLength) {
      yield batch;
      batch = '';
    }
    batch += text;
  }
  if (batch !== '') yield batch;
}
