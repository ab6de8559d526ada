/** What is different between two answers, as lines of `-` and `+`. */
import { safeText } from '../format.ts';

const MAX_LINES = 40;

/** JSON is compared value by value, so that the order of keys and spaces say nothing. Null: there was no answer. */
export function compareBodies(then: Buffer | null, now: Buffer | null): string[] {
  if (then === null && now === null) return [];
  const lines = [readJson(then), readJson(now)];
  if (lines[0] === undefined || lines[1] === undefined) return [`- ${describe(then)}`, `+ ${describe(now)}`];
  const all = [...compare('', lines[0].value, lines[1].value)];
  const more = all.length - MAX_LINES;
  return more > 0 ? [...all.slice(0, MAX_LINES), `+ and ${more} more lines`] : all;
}

function readJson(bytes: Buffer | null): { value: unknown } | undefined {
  try {
    return bytes === null ? undefined : { value: JSON.parse(bytes.toString('utf8')) };
  } catch {
    return undefined; // bytes, or text
  }
}

const describe = (bytes: Buffer | null) => (bytes === null ? 'no answer' : `${bytes.length} bytes`);

function* compare(path: string, then: unknown, now: unknown): Generator<string> {
  if (isObject(then) && isObject(now)) {
    for (const key of new Set([...Object.keys(then), ...Object.keys(now)]))
      yield* compare(`${path}.${key}`, then[key], now[key]);
    return;
  }
  if (Array.isArray(then) && Array.isArray(now)) {
    for (let at = 0; at < Math.max(then.length, now.length); at++) yield* compare(`${path}[${at}]`, then[at], now[at]);
    return;
  }
  const [before, after] = [JSON.stringify(then), JSON.stringify(now)];
  if (before === after) return;
  const place = path === '' ? '.' : path;
  if (before !== undefined) yield `- ${place}: ${safeText(before)}`;
  if (after !== undefined) yield `+ ${place}: ${safeText(after)}`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
