/** A log line as an entry of a Redis stream; short field names, since each line has them. */
import type { StreamEntry } from '../store/follow-stream.ts';
import { readStructured, type Structured } from './structured-line.ts';
import type { LogLine } from './types.ts';

/** `cursor` is the entry's id: opaque, ascending. Of a line that is JSON, what it says. */
export type StoredLogLine = LogLine & Structured & { cursor: string };

const STREAMS: Record<string, LogLine['stream']> = { o: 'stdout', e: 'stderr', p: 'platform' };

/** In the order of `appendLogsScript`, without the number of the stream. */
export function toArguments(line: LogLine): (string | number)[] {
  const { time, version, instanceId, invocationId = '', stream, text } = line;
  return [time, version, instanceId, invocationId, stream === 'stdout' ? 'o' : stream === 'stderr' ? 'e' : 'p', text];
}

export function fromEntry(functionName: string, [cursor, flat]: StreamEntry): StoredLogLine {
  const fields: Record<string, string> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) fields[flat[index] ?? ''] = flat[index + 1] ?? '';
  const invocationId = fields['c'];
  const text = fields['x'] ?? '';
  return {
    time: Number(fields['t']),
    functionName,
    version: Number(fields['v']),
    instanceId: fields['i'] ?? '',
    ...(invocationId && { invocationId }),
    stream: STREAMS[fields['s'] ?? ''] ?? 'platform',
    text,
    ...(fields['s'] === 'p' ? null : readStructured(text)),
    cursor,
  };
}
