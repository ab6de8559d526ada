/** Numbers and times for people. Machines get `--json` with plain numbers. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `0 B`, `1.2 KiB`, `340 MiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  const digits = power > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${BYTE_UNITS[power]}`;
}

/** `0.84 ms`, `21 ms`, `1.4 s`, `2 min 5 s`. */
export function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
}

const AGE_UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** Time since `then` (epoch ms) in its largest unit: `5 s`, `12 min`, `3 d`. */
export function formatAge(then: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  for (const [unit, size] of AGE_UNITS) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return 'now';
}

/** `5 min ago`; `now` within the second. */
export function formatAgo(then: number, now: number): string {
  const age = formatAge(then, now);
  return age === 'now' ? age : `${age} ago`;
}

/** Local wall-clock time with milliseconds: `14:03:09.120`. */
export function formatClock(epochMs: number): string {
  const time = new Date(epochMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const ms = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`;
}

/** The first 12 hex digits: enough to recognise an image by. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

/** `1 file`, `3 files`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

// Select graphic rendition (colours) is harmless; everything else that starts with ESC can move the cursor,
// set the title or answer back as if typed.
const SGR = '\\u001b\\[[0-9;]*m';
const CONTROLS = new RegExp(
  `(${SGR})|\\u001b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\\u0007\\u001b]*(?:\\u0007|\\u001b\\\\)?|.)?|[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]`,
  'g',
);

/** Text of a function, made safe for a terminal: colours, tabs and line ends stay, other control characters go. */
export function safeText(text: string): string {
  return text.replace(CONTROLS, (_match, colour: string | undefined) => colour ?? '');
}
