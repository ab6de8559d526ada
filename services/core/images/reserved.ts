/**
 * Whose a name is. Everything that gives names or takes them away (tag, build, pull, load, rm, prune, df)
 * asks here, so that two of them never answer differently.
 */

/** What the platform's own names begin with. */
export const OWN_PREFIX = {
  /** Versions of functions: `functions/NAME@id`. */
  version: 'functions/',
  dependencies: 'deps/',
  /** Layers of build steps, by the key of the step. */
  stepCache: 'build-cache/',
  /** What `RUN --mount=type=cache` keeps. */
  mountCache: 'build-mount/',
  /** A build inside a deploy, while it runs. */
  deploying: 'build/deploy-',
  /** Builds without `-t`, and what a failed build leaves to be looked at. */
  unnamed: 'build/',
} as const;

type Prefixed = keyof typeof OWN_PREFIX;
export type NameOwner = 'user' | 'base' | Prefixed;

export interface ImageNames {
  ownerOf(tag: string): NameOwner;
  /** May a user give an image this name? */
  mayTake(tag: string): boolean;
  /** May `rm` and `prune` take it away? What functions and base images need goes only with them. */
  mayRemove(tag: string): boolean;
}

const REMOVABLE: readonly NameOwner[] = ['user', 'unnamed', 'stepCache', 'mountCache'];
const PREFIXES = Object.entries(OWN_PREFIX) as [Prefixed, string][];

/** By its beginning alone; base images have plain names, which only the worker knows. */
const ownerByPrefix = (tag: string): Prefixed | undefined => PREFIXES.find(([, prefix]) => tag.startsWith(prefix))?.[0];

/** `baseNames`: base images and their tool layers, as they are now. `node24:latest` is `node24`. */
export function createImageNames(baseNames: () => readonly string[]): ImageNames {
  const ownerOf = (tag: string): NameOwner =>
    ownerByPrefix(tag) ?? (baseNames().includes(tag.replace(/:latest$/, '')) ? 'base' : 'user');
  return {
    ownerOf,
    mayTake: (tag) => ownerOf(tag) === 'user',
    mayRemove: (tag) => REMOVABLE.includes(ownerOf(tag)),
  };
}

/** Kept to make builds quick, and of no other use: left out where images are listed. */
export function isBuildCache(tag: string): boolean {
  const owner = ownerByPrefix(tag);
  return owner === 'stepCache' || owner === 'mountCache';
}

/** Nothing but the build cache names it. */
export const isOnlyBuildCache = ({ tags }: { tags: readonly string[] }): boolean =>
  tags.length > 0 && tags.every(isBuildCache);
