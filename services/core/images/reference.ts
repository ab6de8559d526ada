/**
 * Names of images elsewhere: `[registry/]repository[:tag][@digest]`, by the usual rules.
 *
 * The first component is a registry when it has a `.` or a `:`, or is `localhost`. A name
 * without one belongs to the registry of `WAFER_DEFAULT_REGISTRY`; one component alone is there
 * in `library/`. Wafer has no default of its own.
 */
import { WaferError } from '../errors.ts';
import { isDigest } from './digest.ts';
import type { Digest } from './types.ts';

export interface Reference {
  /** `host` or `host:port`, lower case. */
  registry: string;
  repository: string;
  tag: string | null;
  digest: Digest | null;
}

const MAX_TEXT = 1_024;
const MAX_REPOSITORY = 255;
const HOST =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DEFAULT_TAG = 'latest';
/** Where the default registry keeps names of one component. */
const DEFAULT_FOLDER = 'library';

function refuse(text: string, why: string): WaferError {
  const shown = JSON.stringify(text.slice(0, 100));
  return new WaferError('invalid_name', `${shown} is not an image reference: ${why}.`, {
    hint: 'A reference is [registry/]repository[:tag][@sha256:...], as in registry.example:5000/team/app:v1.',
  });
}

const isRegistry = (component: string) => /[.:]/.test(component) || component === 'localhost';

function splitDigest(text: string): { name: string; digest: Digest | null } {
  const at = text.indexOf('@');
  if (at === -1) return { name: text, digest: null };
  const digest = text.slice(at + 1);
  if (!isDigest(digest)) throw refuse(text, 'what follows "@" is not a sha256 digest of 64 lower-case hex digits');
  return { name: text.slice(0, at), digest };
}

function splitTag(name: string, text: string): { path: string; tag: string | null } {
  const at = name.lastIndexOf(':');
  if (at === -1 || name.indexOf('/', at) !== -1) return { path: name, tag: null };
  const tag = name.slice(at + 1);
  if (!TAG.test(tag)) throw refuse(text, 'the tag is not 1 to 128 letters, digits, "_", "." and "-"');
  return { path: name.slice(0, at), tag };
}

function checkHost(host: string, text: string): string {
  const port = HOST.exec(host);
  if (port === null) throw refuse(text, `${JSON.stringify(host.slice(0, 60))} is not a registry's host or host:port`);
  if (port[1] !== undefined && (Number(port[1]) < 1 || Number(port[1]) > 65_535))
    throw refuse(text, 'the port is wrong');
  return host;
}

function splitRegistry(path: string, text: string, defaultRegistry: string | null) {
  const [first = '', ...rest] = path.split('/');
  if (rest.length > 0 && isRegistry(first)) {
    return { registry: checkHost(first.toLowerCase(), text), repository: rest.join('/') };
  }
  if (defaultRegistry === null) {
    throw new WaferError('invalid_name', `${JSON.stringify(text.slice(0, 100))} does not name its registry.`, {
      hint: 'Write registry/repository:tag, or set WAFER_DEFAULT_REGISTRY to the registry of such names.',
    });
  }
  return { registry: defaultRegistry, repository: rest.length === 0 ? `${DEFAULT_FOLDER}/${first}` : path };
}

/** @throws WaferError `invalid_name`, saying which part is wrong */
export function parseReference(text: string, defaultRegistry: string | null): Reference {
  if (text.length > MAX_TEXT) throw refuse(text, 'it is too long');
  const { name, digest } = splitDigest(text);
  const { path, tag } = splitTag(name, text);
  if (path === '') throw refuse(text, 'it has no repository');
  const components = path.split('/');
  const named = components.length > 1 && isRegistry(components[0] ?? '') ? components.slice(1) : components;
  if (!named.every((one) => COMPONENT.test(one))) {
    throw refuse(text, 'a repository is lower-case letters and digits, separated by ".", "_", "-" and "/"');
  }
  const { registry, repository } = splitRegistry(path, text, defaultRegistry);
  if (repository.length > MAX_REPOSITORY)
    throw refuse(text, `the repository has more than ${MAX_REPOSITORY} characters`);
  return { registry, repository, tag: tag ?? (digest === null ? DEFAULT_TAG : null), digest };
}

/** What the registry is asked for: the digest when there is one, since a tag may move. */
export const manifestOf = ({ tag, digest }: Reference): string => digest ?? tag ?? DEFAULT_TAG;

/** The whole name, as it is kept in the store. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === null ? '' : `:${tag}`}${tag === null && digest !== null ? `@${digest}` : ''}`;
}

/** Of a name in the store; null when it is not one of another registry. */
export function tryParseReference(text: string): Reference | null {
  try {
    return parseReference(text, null);
  } catch (error) {
    if (error instanceof WaferError) return null;
    throw error;
  }
}
