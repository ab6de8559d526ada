/**
 * Lines that are one JSON object each, as loggers write them (pino, winston, bunyan, structlog, zap, slog): their level
 * and message by the usual names, and what else they say. The line itself stays as it was.
 */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Structured {
  level?: LogLevel;
  message?: string;
  /** Everything else but the time, in the order of the line. */
  fields?: Record<string, unknown>;
}

/** A longer one is shown as it is: reading it costs more than it helps. */
const MAX_CHARACTERS = 32 * 1024;
const LEVEL_KEYS = ['level', 'severity', 'lvl', 'levelname', 'log.level'];
const MESSAGE_KEYS = ['msg', 'message', 'event'];
const TIME_KEYS = ['time', 'timestamp', 'ts', '@timestamp'];

const WORDS: Record<string, LogLevel> = {
  trace: 'trace',
  verbose: 'trace',
  debug: 'debug',
  info: 'info',
  information: 'info',
  notice: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  err: 'error',
  severe: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  panic: 'fatal',
  alert: 'fatal',
  emergency: 'fatal',
};

/** Null for a line that is none. */
export function readStructured(text: string): Structured | null {
  if (text.length > MAX_CHARACTERS || !text.startsWith('{') || !text.trimEnd().endsWith('}')) return null;
  const value = parse(text);
  if (value === null) return null;
  const level = firstOf(value, LEVEL_KEYS, toLevel);
  const message = firstOf(value, MESSAGE_KEYS, (found) => (typeof found === 'string' ? found : undefined));
  const taken = new Set([level?.key, message?.key, ...TIME_KEYS]);
  const fields = Object.entries(value).filter(([key]) => !taken.has(key));
  return {
    ...(level !== undefined && { level: level.value }),
    ...(message !== undefined && { message: message.value }),
    ...(fields.length > 0 && { fields: Object.fromEntries(fields) }),
  };
}

export const isAtLeast = (level: LogLevel | undefined, least: LogLevel): boolean =>
  level !== undefined && LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null; // it only looks like one
  }
}

function firstOf<T>(value: Record<string, unknown>, keys: readonly string[], read: (found: unknown) => T | undefined) {
  for (const key of keys) {
    const found = Object.hasOwn(value, key) ? read(value[key]) : undefined;
    if (found !== undefined) return { key, value: found };
  }
  return undefined;
}

/** A word in any case, or the tens of pino and bunyan: 30 is info. */
function toLevel(found: unknown): LogLevel | undefined {
  if (typeof found === 'string' && Object.hasOwn(WORDS, found.toLowerCase())) return WORDS[found.toLowerCase()];
  if (typeof found !== 'number' || !(found >= 10)) return undefined;
  return LOG_LEVELS[Math.min(Math.floor(found / 10), LOG_LEVELS.length) - 1];
}
