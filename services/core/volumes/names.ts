/** How volumes and snapshots may be called, and where functions may have them. */
import { WaferError } from '../errors.ts';

/** Content has names of its own, with a `_` in front, which no volume can have. */
export const VOLUME_PATTERN = '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$';
export const VOLUME_REF_PATTERN = '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}(@[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63})?$';
/** What a path must be besides is said by `badVolumePath`. */
export const VOLUME_PATH_PATTERN = '^[^\\u0000]{1,255}$';
/** As many places as a sandbox has. */
export const MAX_VOLUMES = 8;

const NAME = new RegExp(VOLUME_PATTERN);
const NAME_WORDS = '1 to 64 letters, digits, "_", "." and "-", beginning with a letter or digit';

/** @throws WaferError `invalid_name` */
export function assertVolumeName(name: string, what = 'volume'): void {
  if (NAME.test(name)) return;
  throw new WaferError('invalid_name', `${JSON.stringify(name.slice(0, 80))} can not be the name of a ${what}.`, {
    hint: `A name has ${NAME_WORDS}.`,
  });
}

export function parseVolumeRef(ref: string): { name: string; snapshot: string | null } {
  const at = ref.indexOf('@');
  return at < 0 ? { name: ref, snapshot: null } : { name: ref.slice(0, at), snapshot: ref.slice(at + 1) };
}

/** Where the engine puts its own, and where links are that every program needs. As in runtime/engine/request.c. */
const TAKEN = ['bin', 'dev', 'etc', 'function', 'lib', 'lib32', 'lib64', 'proc', 'run', 'sbin', 'sys', 'tmp'];
const OWN = ['.volumes', '.wafer'];

/** Null when a volume may be there. */
export function badVolumePath(path: string): string | null {
  const parts = path.split('/').slice(1);
  if (!path.startsWith('/') || parts.some((part) => part === '' || part === '.' || part === '..') || path.length > 255)
    return 'must be an absolute path without "..", "//" and a slash at its end, like "/data"';
  const [first = ''] = parts;
  if (TAKEN.includes(first) || OWN.includes(first)) return `lies in /${first}, where no volume can be; take "/data"`;
  return null;
}

/** Of paths where one lies in another, the inner one. */
export const nestedPath = (paths: readonly string[]): string | undefined =>
  paths.find((path, at) =>
    paths.some((other, where) => where !== at && (path === other || path.startsWith(`${other}/`))),
  );
