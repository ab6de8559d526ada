/**
 * Names on the wire, and what they are in the store.
 *
 *   /v2/app/manifests/v1              the store's name `app:v1`
 *   /v2/reg.example/team/app/...      `reg.example/team/app:v1`: what was pulled from there, under the same name
 *   /v2/node24/manifests/latest       the base image `node24`; can be read only
 *   /v2/functions/hello/manifests/3   version 3 of the function; `live` and the other aliases are tags too
 *
 * A name with the port of a registry in it has no place here: a colon can not be in a
 * repository. Such an image is served once it has a second name.
 */
import { isDigest } from '../digest.ts';
import type { Digest } from '../types.ts';
import { DistributionError } from './errors.ts';

const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const MAX_REPOSITORY = 255;

export const FUNCTIONS_PREFIX = 'functions/';
export const LATEST = 'latest';

const shown = (text: string) => JSON.stringify(text.slice(0, 100));

export const isRepository = (text: string) => text.length <= MAX_REPOSITORY && REPOSITORY.test(text);

/** @throws DistributionError `NAME_INVALID` */
export function checkRepository(text: string): string {
  if (isRepository(text)) return text;
  throw new DistributionError(
    'NAME_INVALID',
    `${shown(text)} is not the name of a repository: lower-case letters and digits, separated by ".", "_", "-" and "/".`,
  );
}

/** @throws DistributionError `DIGEST_INVALID` */
export function checkDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new DistributionError(
    'DIGEST_INVALID',
    `${shown(text)} is not a digest that this registry knows: "sha256:" and 64 lower-case hex digits.`,
  );
}

/** What stands after `/manifests/`. @throws DistributionError `DIGEST_INVALID | TAG_INVALID` */
export function checkReference(text: string): { tag: string } | { digest: Digest } {
  if (text.includes(':')) return { digest: checkDigest(text) };
  if (TAG.test(text)) return { tag: text };
  throw new DistributionError(
    'TAG_INVALID',
    `${shown(text)} is not a tag: 1 to 128 letters, digits, "_", "." and "-", and no "." or "-" first.`,
  );
}

export const storeName = (repository: string, tag: string): string => `${repository}:${tag}`;

/** Everything that the store may call it: without a tag, `app` is `app:latest`. */
export const storeNames = (repository: string, tag: string): string[] =>
  tag === LATEST ? [storeName(repository, tag), repository] : [storeName(repository, tag)];

/** Of a name in the store, where `app` is `app:latest`; null for one that can not be a repository's. */
export function splitStoreName(name: string): { repository: string; tag: string } | null {
  const at = name.lastIndexOf(':');
  if (at === -1) return isRepository(name) ? { repository: name, tag: LATEST } : null;
  const repository = name.slice(0, at);
  const tag = name.slice(at + 1);
  return isRepository(repository) && TAG.test(tag) ? { repository, tag } : null;
}

/** The tags that names of the store give to a repository. A name with its tag goes before the short one. */
export function tagsOfNames(
  names: readonly { name: string; digest: Digest }[],
  repository: string,
): Map<string, Digest> {
  const tags = new Map<string, Digest>();
  for (const { name, digest } of names) {
    const place = splitStoreName(name);
    if (place?.repository === repository && (name !== repository || !tags.has(place.tag))) tags.set(place.tag, digest);
  }
  return tags;
}

/** The order of lists: without regard to case, and the same for everybody. */
export function byName(a: string, b: string): number {
  const [low, high] = [a.toLowerCase(), b.toLowerCase()];
  if (low !== high) return low < high ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}
