/** Reads a container's log files: all of it, from a time on, the newest lines, and on and on. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../errors.ts';
import { decodeEntry, type LogEntry, lineCount, linesOf } from './log-entry.ts';
import { LOG_BYTES, LOG_FILES, type LogWriter } from './log-writer.ts';
import type { ContainerLogLine } from './types.ts';

export interface LogRead {
  since?: number;
  tail?: number;
  /** Only lines before this number. */
  until?: number;
  /** While it says true, waits for more at the end. */
  follow?: () => boolean;
  signal: AbortSignal;
}

const CHUNK = 64 * 1024;

/** An open log file, and how far it was read. */
interface Place {
  file: FileHandle;
  inode: number;
  offset: number;
  /** The beginning of a line whose end was not there yet. */
  rest: Buffer;
}

async function openPlace(path: string): Promise<Place | null> {
  try {
    const file = await open(path, 'r');
    return { file, inode: (await file.stat()).ino, offset: 0, rest: Buffer.alloc(0) };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Whole entries from where the last call stopped. */
async function* entriesOf(place: Place): AsyncGenerator<LogEntry> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (;;) {
    const { bytesRead } = await place.file.read(chunk, 0, CHUNK, place.offset);
    if (bytesRead === 0) return;
    place.offset += bytesRead;
    const bytes = Buffer.concat([place.rest, chunk.subarray(0, bytesRead)]);
    const end = bytes.lastIndexOf(10) + 1;
    place.rest = Buffer.from(bytes.subarray(end));
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      const entry = line === '' ? null : decodeEntry(line);
      if (entry !== null) yield entry;
    }
  }
}

/** The files there are, older first: none of them was rotated away between the two looks. */
async function openFiles(dir: string): Promise<Place[]> {
  for (;;) {
    const older = await openPlace(join(dir, LOG_FILES.older));
    const current = await openPlace(join(dir, LOG_FILES.current));
    const again = await stat(join(dir, LOG_FILES.older)).catch(() => null);
    const found = [older, current].filter((place) => place !== null);
    if ((again?.ino ?? null) === (older?.inode ?? null)) return found;
    for (const { file } of found) await file.close();
  }
}

/** All there is, then, as long as `follow` says so, all that comes. In order, each once; a gap stays a gap. */
async function* allEntries(dir: string, writer: LogWriter, query: LogRead): AsyncGenerator<LogEntry> {
  const { signal, follow = () => false } = query;
  let next = 0;
  let places: Place[] = [];
  try {
    for (;;) {
      const seen = writer.version();
      const isLast = !follow();
      await writer.flush();
      const at = places.at(-1);
      const current = await stat(join(dir, LOG_FILES.current)).catch(() => null);
      // Rotated, or new: what we have open is read to its end first, then what came after it.
      if (at === undefined || current?.ino !== at.inode) places = [...places, ...(await openFiles(dir))];
      for (const place of places) {
        for await (const entry of entriesOf(place)) {
          if (signal.aborted) return;
          if (entry.n < next) continue;
          next = entry.n + lineCount(entry.text);
          yield entry;
        }
      }
      for (const { file } of places.splice(0, places.length - 1)) await file.close();
      if (isLast || signal.aborted) return;
      await writer.changed(seen, signal);
    }
  } finally {
    for (const { file } of places) await file.close();
  }
}

const missing = (count: number, { time }: LogEntry): ContainerLogLine => ({
  time,
  stream: 'stderr',
  text: `[wafer: ${count} ${count === 1 ? 'line is' : 'lines are'} missing here; a log keeps its newest ${LOG_BYTES / 1024 / 1024} MiB]`,
});

export async function* readLog(dir: string, writer: LogWriter, query: LogRead): AsyncGenerator<ContainerLogLine> {
  const { since = 0, tail, until = Number.POSITIVE_INFINITY, signal } = query;
  // What is cut off on purpose is not missing.
  let expected = since > 0 || tail !== undefined ? null : 0;
  const start = tail === undefined ? 0 : await lastLines(dir, writer, query, tail);
  for await (const entry of allEntries(dir, writer, query)) {
    if (entry.n >= until) return;
    if (entry.time < since || entry.n + lineCount(entry.text) <= start) continue;
    if (expected !== null && entry.n > expected) yield missing(entry.n - expected, entry);
    for (const { n, ...line } of linesOf(entry)) {
      if (signal.aborted) return;
      if (n >= start) yield line;
      expected = n + 1;
    }
  }
}

/** Number of the line with which the newest `count` lines begin. What continues a line is of it. */
async function lastLines(dir: string, writer: LogWriter, query: LogRead, count: number): Promise<number> {
  const { follow: _follow, ...once } = query;
  /** Runs of lines that begin at `from`, `from + 1`, ... */
  const runs: { from: number; length: number }[] = [];
  let total = 0;
  let isWithin = false;
  let end = 0;
  for await (const { n, text, partial } of allEntries(dir, writer, once)) {
    const lines = lineCount(text);
    const from = isWithin ? n + 1 : n;
    const length = n + lines - from;
    if (length > 0) runs.push({ from, length });
    total += length;
    for (let first = runs[0]; first !== undefined && total - first.length >= count; first = runs[0]) {
      total -= first.length;
      runs.shift();
    }
    isWithin = partial === true;
    end = n + lines;
  }
  const [first] = runs;
  return first === undefined ? end : first.from + Math.max(0, total - count);
}
