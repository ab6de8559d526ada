/** Time zones: what is added to UTC when, and when that changes. */

const DAY_MS = 86_400_000;

export interface Zone {
  /** Ms to add to an epoch ms for the wall clock there. */
  offset(at: number): number;
  /** The first ms after `from`, up to `to`, with another offset than `from` has; null: there is none. They are less than a day apart. */
  change(from: number, to: number): number | null;
}

/** Null when there is no such zone. Names of the IANA data base only: fixed offsets have no name. */
export function openZone(name: string): Zone | null {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(name)) return null;
  const format = formatOf(name);
  if (format === null) return null;
  const offset = name === 'UTC' ? () => 0 : (at: number) => wallOf(format, at) - Math.floor(at / 1000) * 1000;
  return {
    offset,
    change(from, to) {
      const before = offset(from);
      if (offset(to) === before) return null;
      let low = from;
      let high = Math.min(to, from + DAY_MS);
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (offset(middle) === before) low = middle;
        else high = middle;
      }
      return high;
    },
  };
}

const PARTS = {
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;

function formatOf(timeZone: string): Intl.DateTimeFormat | null {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', ...PARTS });
  } catch {
    return null;
  }
}

/** The wall clock of a time, as if it were UTC. Of `M/D/Y, H:M:S`. */
function wallOf(format: Intl.DateTimeFormat, at: number): number {
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0] = (format.format(at).match(/\d+/g) ?? []).map(
    Number,
  );
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
