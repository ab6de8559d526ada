/** One line of a log file: `{"n":7,"time":…,"stream":"stdout","text":"…"}`. */
import { isRecord } from '../images/documents.ts';
import type { ContainerLogLine, OutputStream } from './types.ts';

/** `n` counts from 0 without gaps, so what is missing shows. */
export interface LogEntry extends ContainerLogLine {
  n: number;
}

export const encodeEntry = ({ n, time, stream, text, partial }: LogEntry): string =>
  `${JSON.stringify({ n, time, stream, text, ...(partial === true ? { partial } : {}) })}\n`;

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
