/** The three kinds of ranges of the protocol: of a chunk that comes, of a blob that goes, of a list. */
import { DistributionError } from '../../core/images/distribution/errors.ts';
import type { ChunkRange } from '../../core/images/distribution/uploads.ts';

const CHUNK = /^(\d{1,15})-(\d{1,15})$/;

/** Null when the header is missing: the chunk goes where the last one ended. @throws DistributionError `BLOB_UPLOAD_INVALID | SIZE_INVALID` */
export function chunkRange(header: string | undefined, length: string | undefined): ChunkRange | null {
  if (header === undefined) return null;
  const found = CHUNK.exec(header);
  const [start, end] = [Number(found?.[1]), Number(found?.[2])];
  if (found === null || end < start) {
    throw new DistributionError('BLOB_UPLOAD_INVALID', 'Content-Range is not <first byte>-<last byte>.');
  }
  if (length !== undefined && Number(length) !== end - start + 1) {
    throw new DistributionError('SIZE_INVALID', 'Content-Range and Content-Length do not fit each other.');
  }
  return { start, end };
}

export interface BlobRange {
  start: number;
  end: number;
}

/** Null when the whole is asked for, or something that may be answered with the whole: several ranges, other units. */
export function blobRange(header: string | undefined, size: number): BlobRange | null {
  const found = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/.exec(header ?? '');
  if (found === null) return null;
  const [, first, last, suffix] = found;
  const start = first === undefined ? Math.max(0, size - Number(suffix)) : Number(first);
  const end = last === undefined || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== undefined && last !== '' && Number(last) < Number(first)) return null;
  if (start <= end && suffix !== '0') return { start, end };
  throw new DistributionError('SIZE_INVALID', `The blob has ${size} bytes.`, {
    status: 416,
    headers: { 'content-range': `bytes */${size}` },
  });
}

export interface Page {
  items: string[];
  /** For `Link`; null when this is the end. */
  next: string | null;
}

/** At most `n` items after `last`, which need not be one of them. `items` are sorted by `compare`. */
export function pageOf(
  items: readonly string[],
  query: URLSearchParams,
  path: string,
  compare: (a: string, b: string) => number,
): Page {
  const [n, last] = [query.get('n'), query.get('last')];
  if (n !== null && !/^\d{1,9}$/.test(n)) {
    throw new DistributionError('UNSUPPORTED', '"n" is not a number of items.', { status: 400 });
  }
  const rest = last === null ? items : items.filter((one) => compare(one, last) > 0);
  const taken = n === null ? [...rest] : rest.slice(0, Number(n));
  const end = taken.at(-1);
  if (n === null || end === undefined || taken.length === rest.length) return { items: taken, next: null };
  return { items: taken, next: `<${path}?${new URLSearchParams({ n, last: end })}>; rel="next"` };
}
