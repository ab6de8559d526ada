/** What a path below `/v2/` means. Names have slashes, so it is read from its end. */
import { DistributionError } from '../../core/images/distribution/errors.ts';

export type Target =
  | { kind: 'base' }
  | { kind: 'catalog' }
  | { kind: 'manifest'; name: string; reference: string }
  | { kind: 'blob'; name: string; digest: string }
  | { kind: 'uploads'; name: string }
  | { kind: 'upload'; name: string; id: string }
  | { kind: 'tags'; name: string }
  | { kind: 'referrers'; name: string; digest: string };

const nothing = () => new DistributionError('UNSUPPORTED', 'There is no such endpoint.', { status: 404 });

/** Decoded after it was split: an encoded slash stays within its part, and no name has one. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new DistributionError('NAME_INVALID', 'The path is not proper percent-encoding.');
  }
}

/**
 * `url` as it came on the wire.
 * @throws DistributionError `UNSUPPORTED` (404) for what is no endpoint; names are checked by who uses them
 */
export function parseTarget(url: string): Target {
  const path = url.replace(/^[a-z]+:\/\/[^/?]*/i, '').split('?', 1)[0] ?? '';
  const parts = path.slice('/v2/'.length).split('/').map(decode);
  const [last = '', before, third] = [parts.at(-1), parts.at(-2), parts.at(-3)];
  const name = (drop: number) => parts.slice(0, -drop).join('/');
  if (parts.length === 1 && last === '') return { kind: 'base' };
  if (parts.length === 1 && last === '_catalog') return { kind: 'catalog' };
  if (parts.length > 2 && before === 'manifests') return { kind: 'manifest', name: name(2), reference: last };
  if (parts.length > 2 && before === 'tags' && last === 'list') return { kind: 'tags', name: name(2) };
  if (parts.length > 2 && before === 'referrers') return { kind: 'referrers', name: name(2), digest: last };
  if (parts.length > 3 && third === 'blobs' && before === 'uploads') {
    return last === '' ? { kind: 'uploads', name: name(3) } : { kind: 'upload', name: name(3), id: last };
  }
  if (parts.length > 2 && before === 'blobs') {
    return last === 'uploads' ? { kind: 'uploads', name: name(2) } : { kind: 'blob', name: name(2), digest: last };
  }
  throw nothing();
}
