/** Finding images by what people type, and naming them. */
import { WaferError } from '../errors.ts';
import { isDigest } from './digest.ts';
import { imageNotFound } from './images.ts';
import { formatReference, parseReference, tryParseReference } from './reference.ts';
import type { Image, ImageStore } from './types.ts';

const SHORT_DIGEST = /^(?:sha256:)?([0-9a-f]{6,64})$/;
/** `name[:tag]` without a registry: a name of this store only. */
const LOCAL = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/;

function withDefault(text: string, defaultRegistry: string | null): string | null {
  if (defaultRegistry === null) return null;
  try {
    return formatReference(parseReference(text, defaultRegistry));
  } catch {
    return null; // then it is not the name of an image there
  }
}

export interface Found {
  image: Image;
  /** The name that was meant; null when it was found by digest. */
  tag: string | null;
}

/** By tag, digest, the beginning of a digest, a name without `:latest`, or a name of the default registry. @throws WaferError `image_not_found | conflict` */
export async function findByName(store: ImageStore, text: string, defaultRegistry: string | null): Promise<Found> {
  const named = tryParseReference(text);
  const whole = named === null ? `${text}:latest` : formatReference(named);
  for (const candidate of [text, whole, withDefault(text, defaultRegistry)]) {
    const image = candidate === null ? null : await store.find(candidate);
    if (image !== null) return { image, tag: isDigest(candidate) ? null : candidate };
  }
  const hex = SHORT_DIGEST.exec(text)?.[1];
  if (hex === undefined) throw imageNotFound(text);
  const found = (await store.list()).filter(({ digest }) => digest.startsWith(`sha256:${hex}`));
  if (found.length > 1)
    throw new WaferError('conflict', `${text} is the beginning of ${found.length} digests; write more of it.`);
  if (found[0] === undefined) throw imageNotFound(text);
  return { image: found[0], tag: null };
}

/** The whole form of a new name. @throws WaferError `invalid_name` */
export function nameForTag(text: string): string {
  const reference = tryParseReference(text);
  if (reference !== null && reference.digest === null) return formatReference(reference);
  if (reference === null && text.length <= 200 && LOCAL.test(text)) return text.includes(':') ? text : `${text}:latest`;
  throw new WaferError('invalid_name', `${JSON.stringify(text.slice(0, 100))} can not be the name of an image.`, {
    hint: 'A name is [registry/]repository[:tag], with lower-case letters in the repository.',
  });
}
