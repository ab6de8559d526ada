/** The log of one container: opened where the last process left it. */
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../errors.ts';
import { decodeEntry, lineCount } from './log-entry.ts';
import { type LogRead, readLog } from './log-reader.ts';
import { createLogWriter, LOG_FILES, type LogWriter } from './log-writer.ts';
import type { ContainerLogLine } from './types.ts';

export interface ContainerLog extends LogWriter {
  read(query: LogRead): AsyncIterable<ContainerLogLine>;
}

export interface ContainerLogOptions {
  /** Exists by the time of the first line. */
  dir: string;
  maxBytes?: number;
  /** The disk takes no lines: told once until it takes some again. */
  onProblem: (error: unknown) => void;
}

export async function openContainerLog(options: ContainerLogOptions): Promise<ContainerLog> {
  const { dir } = options;
  const size = await mendEnd(join(dir, LOG_FILES.current));
  const next = (await nextNumber(join(dir, LOG_FILES.current))) ?? (await nextNumber(join(dir, LOG_FILES.older))) ?? 0;
  const writer = createLogWriter({ ...options, next, size });
  return { ...writer, read: (query) => readLog(dir, writer, query) };
}

/** A line that a crash tore gets its newline, so that the next one is whole. */
async function mendEnd(path: string): Promise<number> {
  const size = await sizeOf(path);
  if (size === 0) return 0;
  const file = await open(path, 'r+');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    if (buffer[0] === 10) return size;
    await file.write('\n', size);
    return size + 1;
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  });
  return found?.size ?? 0;
}

/** At most one file of half the cap, once for each container at the start. */
async function nextNumber(path: string): Promise<number | null> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  });
  for (let end = text.length; end > 0; ) {
    const start = text.lastIndexOf('\n', end - 2) + 1;
    const entry = decodeEntry(text.slice(start, end));
    if (entry !== null) return entry.n + lineCount(entry.text);
    end = start;
  }
  return null;
}
