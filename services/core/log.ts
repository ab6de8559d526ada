/** The platform's own log (not the functions': see invocations/logs.ts). JSON lines, or text when a person watches. */
import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Logger;

const SECRET_NAMES = ['authorization', 'cookie', 'password', 'apiKey', 'adminKey', 'key', 'token', 'secret', 'env'];
const CENSORED = '[redacted]';

/** At the top, one level down (`config.env`, `headers.authorization`) and in `req.headers`. */
const REDACTED_PATHS = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export interface LogOptions {
  level: string;
  /** Where lines go; default stdout. Text when it is a terminal, JSON otherwise. */
  stream?: DestinationStream & { isTTY?: boolean };
}

export function createLog({ level, stream = process.stdout }: LogOptions): Log {
  const destination = stream.isTTY ? { write: (line: string) => stream.write(formatLine(line)) } : stream;
  return pino({ level, base: null, redact: { paths: REDACTED_PATHS, censor: CENSORED } }, destination);
}

const HIDDEN = new Set(['level', 'time', 'msg', 'err']);

/** One JSON line of pino -> `12:03:04.123 warn  message  key=value`; an error's stack goes below. */
export function formatLine(line: string): string {
  const entry = parseEntry(line);
  if (entry === null) return line;
  const time = new Date(Number(entry['time'])).toISOString().slice(11, 23);
  const level = (pino.levels.labels[Number(entry['level'])] ?? '').padEnd(5);
  const rest = Object.entries(entry).filter(([name]) => !HIDDEN.has(name));
  const fields = rest.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const head = [`${time} ${level}`, oneLine(String(entry['msg'] ?? '')), ...fields.map(oneLine)];
  return `${head.filter(Boolean).join('  ')}\n${errorText(entry['err'])}`;
}

/** Text from a function or a client must not draw on the operator's terminal or fake a second line. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be removed
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => JSON.stringify(char).slice(1, -1).replace(char, '?'));
}

function errorText(err: unknown): string {
  if (typeof err !== 'object' || err === null) return '';
  const text = 'stack' in err ? String(err.stack) : 'message' in err ? String(err.message) : '';
  const lines = text.split('\n').filter(Boolean);
  return lines.map((line) => `    ${oneLine(line)}\n`).join('');
}

function parseEntry(line: string): Record<string, unknown> | null {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
