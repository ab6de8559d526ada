/**
 * One line of a log file: `{"n":7,"time":…,"stream":"stdout","text":"…"}`. The text may be many
 * lines that came at once: writing each alone would cost more than most programs do.
 */
import { isRecord } from '../images/documents.ts';
import type { ContainerLogLine, OutputStream } from './types.ts';

/** `n` of the first line; lines count from 0 without gaps, so what is missing shows. `partial` is about the last one. */
export interface LogEntry extends ContainerLogLine {
  n: number;
}

export const encodeEntry = ({ n, time, stream, text, partial }: LogEntry): string =>
  `${JSON.stringify({ n, time, stream, text, ...(partial === true ? { partial } : {}) })}\n`;

export function lineCount(text: string): number {
  let count = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

/** Each line with its number. */
export function linesOf({ n, time, stream, text, partial }: LogEntry): LogEntry[] {
  const texts = text.split('\n');
  const last = partial === true ? texts.length - 1 : -1;
  return texts.map((one, at) => ({
    n: n + at,
    time,
    stream,
    text: one,
    ...(at === last ? { partial: true as const } : {}),
  }));
}

/** Null for what is torn: the last line before a crash. */
export function decodeEntry(line: string): LogEntry | null {
  try {
    const value: unknown = JSON.parse(line);
    if (!isRecord(value) || !Number.isSafeInteger(value['n']) || typeof value['text'] !== 'string') return null;
    const stream: OutputStream = value['stream'] === 'stderr' ? 'stderr' : 'stdout';
    const partial = value['partial'] === true ? { partial: true as const } : {};
    return { n: Number(value['n']), time: Number(value['time']), stream, text: value['text'], ...partial };
  } catch {
    return null;
  }
}
