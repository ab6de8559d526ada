/**
 * The typed client of the API: one method a route, nothing of the terminal. Answers are
 * trusted to have the documented shapes; problems become `WaferError`s with the server's code.
 */
import type { Readable } from 'node:stream';
import { readClientConfig } from '../core/config.ts';
import { ERRORS, type ErrorCode, type Problem, WaferError } from '../core/errors.ts';
import type { BuildEvent, FunctionRecord } from '../core/functions/types.ts';
import type { BuiltImage, ImageBuildEvent, ImageBuildOptions } from '../core/images/dockerfile/builder-types.ts';
import type { Explanation } from '../core/invocations/explain.ts';
import type { StoredLogLine } from '../core/invocations/logs.ts';
import type { BlankInfo, InstanceInfo } from '../core/invocations/types.ts';
import { findApiKey, keyFiles } from './api-key.ts';
import type { FunctionDetail, FunctionVersions, ImageSummary, Readiness } from './client-types.ts';
import { deployBody } from './multipart.ts';
import { type HttpReply, type HttpRequest, readAll, readLines, send } from './transport.ts';

type Env = Record<string, string | undefined>;

export interface Selector {
  alias?: string | undefined;
  version?: number | undefined;
}

export interface LogQuery {
  /** Only the lines of this invocation. */
  invocation?: string | undefined;
  follow?: boolean;
  /** Lines that contain it, in upper or lower case. */
  grep?: string | undefined;
  stream?: string | undefined;
  /** Of lines that are JSON: this level or above. */
  level?: string | undefined;
  /** Epoch ms. */
  since?: number | undefined;
  limit?: number | undefined;
  signal?: AbortSignal;
}

export type DeployEvent = BuildEvent | { type: 'failed'; problem: Problem };

export type BuildImageEvent =
  | ImageBuildEvent
  | { type: 'built'; image: BuiltImage }
  | { type: 'failed'; problem: Problem };

export interface Client {
  readonly url: string;
  /** Where the key came from, or null. */
  readonly keySource: string | null;
  ready(): Promise<Readiness>;
  functions(): Promise<FunctionRecord[]>;
  describe(name: string): Promise<FunctionDetail>;
  versions(name: string): Promise<FunctionVersions>;
  explain(name: string, selector: Selector): Promise<Explanation>;
  setAlias(name: string, alias: string, version: number): Promise<FunctionRecord>;
  remove(name: string): Promise<void>;
  /** Owns `archive` (tar.gz). Events as they happen; the last one is `deployed` or `failed`. */
  deploy(name: string, archive: Readable, config: object): AsyncGenerator<DeployEvent>;
  deployImage(name: string, reference: string, config: object): AsyncGenerator<DeployEvent>;
  /** Owns `archive` (tar.gz of the context). Events as they happen; the last one is `built` or `failed`. */
  buildImage(archive: Readable, options: ImageBuildOptions): AsyncGenerator<BuildImageEvent>;
  /** The answer as it is, failures of the function included. @throws WaferError for all other problems */
  invoke(name: string, body: Buffer, selector: Selector): Promise<HttpReply & { problem: Problem | null }>;
  logs(name: string, query: LogQuery): AsyncGenerator<StoredLogLine>;
  images(): Promise<ImageSummary[]>;
  instances(): Promise<{ instances: InstanceInfo[]; blanks: BlankInfo[] }>;
}

const isProblem = (value: unknown): value is Problem =>
  typeof value === 'object' && value !== null && 'code' in value && 'detail' in value && 'status' in value;

/** A newer server may know more codes than this CLI. */
const knownCode = (problem: Problem): ErrorCode => {
  if (problem.code in ERRORS) return problem.code;
  return problem.status < 500 ? 'invalid_request' : 'internal';
};

export function problemError(problem: Problem): WaferError {
  return new WaferError(knownCode(problem), problem.detail, {
    ...(problem.hint === undefined ? {} : { hint: problem.hint }),
    ...(problem.details === undefined ? {} : { details: problem.details }),
  });
}

/** The function failed, as opposed to the platform or the request. */
const isGuestFailure = (problem: Problem): boolean =>
  problem.code in ERRORS && ERRORS[problem.code].exit === 1 && problem.code !== 'build_failed';

export function parse(text: string, origin: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WaferError('not_reachable', `${origin} answered, but not with JSON: is it a Wafer API?`, {
      hint: 'Check WAFER_URL.',
      cause,
    });
  }
}

export interface Connection {
  origin: string;
  keyHint: string;
  /** What every request carries. */
  headers: Readonly<Record<string, string>>;
  call(method: string, path: string, options?: Partial<HttpRequest>): Promise<HttpReply>;
}

export function connect(env: Env): Connection & { keySource: string | null } {
  const config = readClientConfig(env);
  const key = findApiKey(config.dataDir, env);
  const base = URL.canParse(config.url) ? new URL(config.url) : null;
  if (base === null) throw new WaferError('usage', `WAFER_URL=${config.url} is not a URL.`);
  const looked = keyFiles(config.dataDir, env).join(' and ');
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key.value}` } : {};
  return {
    origin: config.url,
    headers,
    keySource: key?.source ?? null,
    keyHint: key
      ? `The key came from ${key.source}; it belongs to another platform or was replaced.`
      : `No key was found in ${looked}: set WAFER_KEY, or call wafer as the user that started the platform.`,
    call: (method, path, options = {}) =>
      send(new URL(config.url + path), {
        method,
        ...options,
        headers: { accept: 'application/json', ...headers, ...options.headers },
      }),
  };
}

/** The problem of a reply with an error status. Reads the body. */
export async function readProblem(reply: HttpReply, { origin, keyHint }: Connection): Promise<Problem> {
  const value = parse((await readAll(reply, origin)).toString(), origin);
  if (!isProblem(value)) {
    throw new WaferError('not_reachable', `${origin} answered ${reply.status} without a Wafer problem document.`, {
      hint: 'Check WAFER_URL.',
    });
  }
  return value.code === 'unauthorized' ? { ...value, hint: keyHint } : value;
}

export const query = (values: Record<string, string | number | boolean | null | undefined>): string => {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== false) params.set(key, String(value));
  }
  return params.size === 0 ? '' : `?${params}`;
};

const NDJSON = { accept: 'application/x-ndjson' };

export async function* stream<T>(connection: Connection, path: string, signal?: AbortSignal): AsyncGenerator<T> {
  let reply: HttpReply;
  try {
    reply = await connection.call('GET', path, { headers: NDJSON, ...(signal ? { signal } : {}) });
  } catch (error) {
    if (signal?.aborted) return;
    throw error;
  }
  if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
  for await (const line of readLines(reply, connection.origin, signal)) yield parse(line, connection.origin) as T;
}

/** Sends `config` and the archive; the events of the answer as they come. */
async function* upload<T>(connection: Connection, method: string, path: string, config: object, archive: Readable) {
  const { contentType, body } = deployBody(config, archive);
  const headers = { ...NDJSON, 'content-type': contentType };
  yield* events<T>(connection, await connection.call(method, path, { headers, body }));
}

async function* sendJson<T>(connection: Connection, method: string, path: string, value: object) {
  const headers = { ...NDJSON, 'content-type': 'application/json' };
  const body = Buffer.from(JSON.stringify(value));
  yield* events<T>(connection, await connection.call(method, path, { headers, body }));
}

async function* events<T>(connection: Connection, reply: HttpReply): AsyncGenerator<T> {
  if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
  for await (const line of readLines(reply, connection.origin)) yield parse(line, connection.origin) as T;
}

/** One call with JSON in and out. */
export const jsonCaller =
  (connection: Connection) =>
  async <T>(method: string, path: string, body?: object): Promise<T> => {
    const { call, origin } = connection;
    const sent = body
      ? { headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) }
      : {};
    const reply = await call(method, path, sent);
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    const bytes = await readAll(reply, origin);
    return (bytes.length === 0 ? null : parse(bytes.toString(), origin)) as T;
  };

export function createClient(env: Env): Client {
  const connection = connect(env);
  const { call, origin } = connection;
  const json = jsonCaller(connection);
  const at = (name: string) => `/v1/functions/${encodeURIComponent(name)}`;
  const logQuery = ({ signal: _signal, ...wanted }: LogQuery) => query({ ...wanted });
  return {
    url: origin,
    keySource: connection.keySource,
    ready: async () => {
      const reply = await call('GET', '/readyz');
      return parse((await readAll(reply, origin)).toString(), origin) as Readiness;
    },
    functions: async () => (await json<{ functions: FunctionRecord[] }>('GET', '/v1/functions')).functions,
    describe: (name) => json('GET', at(name)),
    versions: (name) => json('GET', `${at(name)}/versions`),
    explain: (name, { alias, version }) => json('GET', `${at(name)}/explain${query({ alias, version })}`),
    setAlias: (name, alias, version) => json('PUT', `${at(name)}/aliases/${encodeURIComponent(alias)}`, { version }),
    remove: async (name) => void (await json('DELETE', at(name))),
    deploy: (name, archive, config) => upload<DeployEvent>(connection, 'PUT', at(name), config, archive),
    deployImage: (name, image, config) => sendJson<DeployEvent>(connection, 'PUT', at(name), { image, config }),
    buildImage: (archive, options) => upload<BuildImageEvent>(connection, 'POST', '/v1/images/build', options, archive),
    invoke: async (name, body, { alias, version }) => {
      const path = `${at(name)}/invoke${query({ alias, version })}`;
      const headers = { accept: '*/*', 'content-type': 'application/json' };
      const reply = await call('POST', path, { headers, body });
      if (reply.status < 400) return { ...reply, problem: null };
      const problem = await readProblem(reply, connection);
      if (!isGuestFailure(problem)) throw problemError(problem);
      return { ...reply, problem };
    },
    logs: (name, options) => stream(connection, `${at(name)}/logs${logQuery(options)}`, options.signal),
    images: async () => (await json<{ images: ImageSummary[] }>('GET', '/v1/images')).images,
    instances: () => json('GET', '/v1/instances'),
  };
}
