/** `RUN --mount=...`: an allow-list of types and of their options. What is not on it is refused, never passed over. */
import { joinPath } from './metadata.ts';
import { expandIn } from './scope.ts';
import { dockerfileError, type Instruction } from './types.ts';
import type { Scope } from './words.ts';

export interface RunMount {
  type: 'bind' | 'cache' | 'tmpfs' | 'secret';
  /** Absolute; null for a secret that is only in the environment. */
  target: string | null;
  /** Of a cache or a secret. */
  id: string;
  /** Of a bind: a stage or image, null for the context; and a path there. */
  from: string | null;
  source: string;
  required: boolean;
  /** Variable that holds the secret. */
  env: string | null;
  mode: number;
  uid: number;
  gid: number;
}

const ALIASES: Record<string, string> = {
  dst: 'target',
  destination: 'target',
  src: 'source',
  readonly: 'ro',
  readwrite: 'rw',
};
const OPTIONS: Record<RunMount['type'], readonly string[]> = {
  bind: ['target', 'source', 'from', 'ro', 'rw'],
  cache: ['target', 'id', 'sharing', 'mode', 'uid', 'gid', 'rw'],
  tmpfs: ['target'],
  secret: ['target', 'id', 'required', 'env'],
};
const isType = (text: string): text is RunMount['type'] => Object.hasOwn(OPTIONS, text);
const ID = /^[A-Za-z0-9._/@:-]{1,200}$/;

/** @throws WaferError `invalid_dockerfile` at the flag */
export function readMounts(instruction: Instruction, scope: Scope, mark: string, workdir: string): RunMount[] {
  return instruction.flags
    .filter((flag) => flag.name === 'mount')
    .map(({ value, at }) => {
      const fail = (message: string) => dockerfileError(instruction.file, at, `RUN --mount: ${message}`);
      return readMount(expandIn(instruction, value ?? '', scope, mark), workdir, fail);
    });
}

function readMount(text: string, workdir: string, fail: (message: string) => Error): RunMount {
  const options = new Map<string, string>();
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    const key = (equals === -1 ? part : part.slice(0, equals)).trim().toLowerCase();
    options.set(ALIASES[key] ?? key, equals === -1 ? 'true' : part.slice(equals + 1));
  }
  const type = options.get('type') ?? 'bind';
  if (!isType(type))
    throw fail(
      `the type ${JSON.stringify(type.slice(0, 64))} is not allowed; there are ${Object.keys(OPTIONS).join(', ')}.`,
    );
  for (const key of options.keys()) {
    if (key !== 'type' && !OPTIONS[type].includes(key))
      throw fail(`the option ${JSON.stringify(key.slice(0, 64))} is not supported for ${type}.`);
  }
  const given = options.get('target');
  const env = options.get('env') ?? null;
  const id = options.get('id') ?? (given === undefined ? '' : given.slice(given.lastIndexOf('/') + 1));
  if ((type === 'secret' || options.has('id')) && !ID.test(id))
    throw fail('it needs an id of letters, digits and ._/@:-');
  if (env !== null && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(env)) throw fail('"env" is not the name of a variable.');
  const target = targetOf(type, given, id, env, workdir, fail);
  return {
    type,
    target,
    id: type === 'cache' ? (options.get('id') ?? target ?? '') : id,
    from: options.get('from') ?? null,
    source: options.get('source') ?? '/',
    required: options.get('required') === 'true',
    env,
    mode: octal(options.get('mode'), fail),
    uid: whole(options.get('uid'), fail),
    gid: whole(options.get('gid'), fail),
  };
}

/** Where the platform's own mounts are, and the root, nothing can be put. */
const RESERVED = ['/proc', '/dev', '/sys', '/.wafer', '/etc/hosts', '/etc/resolv.conf'];

function targetOf(
  type: string,
  given: string | undefined,
  id: string,
  env: string | null,
  workdir: string,
  fail: (message: string) => Error,
): string | null {
  if (given === undefined && type === 'secret') return env === null ? `/run/secrets/${id}` : null;
  if (given === undefined || given === '') throw fail('"target" is missing.');
  const target = joinPath(workdir, given);
  if (target === '/' || RESERVED.some((one) => target === one || target.startsWith(`${one}/`)))
    throw fail(`nothing can be mounted at ${target}.`);
  return target;
}

function octal(text: string | undefined, fail: (message: string) => Error): number {
  if (text === undefined) return 0o755;
  if (!/^[0-7]{3,4}$/.test(text)) throw fail('"mode" is not an octal number.');
  return Number.parseInt(text, 8);
}

function whole(text: string | undefined, fail: (message: string) => Error): number {
  if (text === undefined) return 0;
  if (!/^\d{1,9}$/.test(text)) throw fail('"uid" and "gid" are numbers.');
  return Number(text);
}
