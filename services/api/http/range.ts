/** One range of bytes of RFC 9110; of several the whole is given, as it allows. */

export interface ByteRange {
  start: number;
  /** The last one, included. */
  end: number;
}

/** Null: the whole is to be given. `isCurrent`: what `If-Range` says. */
export function oneRange(
  header: string | undefined,
  size: number,
  isCurrent: boolean,
): ByteRange | 'unsatisfiable' | null {
  const found = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/.exec(header ?? '');
  if (found === null || !isCurrent) return null;
  const [, first, last = '', suffix] = found;
  if (first === undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return null; // no range at all
  return start > end ? 'unsatisfiable' : { start, end };
}
