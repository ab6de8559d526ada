/** The client of `/v1/containers`: one method a route. Sessions (attach, exec) are in `session/`. */
import type { Readable } from 'node:stream';
import type {
  CommitOptions,
  Container,
  ContainerChange,
  ContainerConfig,
  ContainerLogLine,
  ContainerProcess,
  ContainerStats,
  ExecConfig,
  TerminalSize,
} from '../core/containers/types.ts';
import { type Connection, connect, jsonCaller, problemError, query, readProblem, stream } from './client.ts';
import type { ClientSession } from './session/client-session.ts';
import type { HttpReply } from './transport.ts';

/** What is left out has the server's default. */
export type ContainerRequest = Partial<ContainerConfig> & { image: string; name?: string };

export interface ContainerLogQuery {
  follow?: boolean;
  /** Unix ms. */
  since?: number | undefined;
  tail?: number | undefined;
  signal?: AbortSignal;
}

export interface ContainerClient {
  readonly url: string;
  list(all: boolean): Promise<Container[]>;
  get(ref: string): Promise<Container>;
  create(request: ContainerRequest): Promise<Container>;
  start(ref: string, size?: TerminalSize): Promise<Container>;
  stop(ref: string, timeoutSeconds?: number): Promise<Container>;
  kill(ref: string, signal: string): Promise<void>;
  restart(ref: string, timeoutSeconds?: number): Promise<Container>;
  pause(ref: string): Promise<Container>;
  unpause(ref: string): Promise<Container>;
  rename(ref: string, name: string): Promise<Container>;
  remove(ref: string, force: boolean): Promise<void>;
  prune(): Promise<{ removed: string[] }>;
  wait(ref: string, signal?: AbortSignal): Promise<number>;
  attach(ref: string, options: { logs: boolean; size?: TerminalSize }): Promise<ClientSession>;
  exec(ref: string, config: ExecConfig): Promise<ClientSession>;
  logs(ref: string, query: ContainerLogQuery): AsyncGenerator<ContainerLogLine>;
  top(ref: string): Promise<ContainerProcess[]>;
  stats(ref: string): Promise<ContainerStats>;
  changes(ref: string): Promise<ContainerChange[]>;
  /** A tar; the caller reads or destroys `body`. */
  readFiles(ref: string, path: string): Promise<HttpReply>;
  /** Owns `tar`. */
  writeFiles(ref: string, path: string, tar: Readable): Promise<void>;
  /** A tar; the caller reads or destroys `body`. */
  export(ref: string): Promise<HttpReply>;
  commit(ref: string, options: CommitOptions): Promise<{ digest: string; tags: string[] }>;
}

const at = (ref: string) => `/v1/containers/${encodeURIComponent(ref)}`;
const TAR = 'application/x-tar';

type Lifecycle = 'start' | 'stop' | 'kill' | 'restart' | 'pause' | 'unpause' | 'rename' | 'remove' | 'prune' | 'wait';

function lifecycle(connection: Connection): Pick<ContainerClient, Lifecycle> {
  const json = jsonCaller(connection);
  const post = <T>(ref: string, action: string, body: object = {}) => json<T>('POST', `${at(ref)}/${action}`, body);
  const grace = (timeoutSeconds: number | undefined) => (timeoutSeconds === undefined ? {} : { timeoutSeconds });
  return {
    start: (ref, size) => post(ref, 'start', size ?? {}),
    stop: (ref, timeoutSeconds) => post(ref, 'stop', grace(timeoutSeconds)),
    kill: async (ref, signal) => void (await post(ref, 'kill', { signal })),
    restart: (ref, timeoutSeconds) => post(ref, 'restart', grace(timeoutSeconds)),
    pause: (ref) => post(ref, 'pause'),
    unpause: (ref) => post(ref, 'unpause'),
    rename: (ref, name) => post(ref, 'rename', { name }),
    remove: async (ref, force) => void (await json('DELETE', `${at(ref)}${query({ force })}`)),
    prune: () => json('POST', '/v1/containers/prune'),
    wait: async (ref, signal) => {
      const reply = await connection.call('GET', `${at(ref)}/wait`, signal === undefined ? {} : { signal });
      return (await readJson<{ exitCode: number }>(reply, connection)).exitCode;
    },
  };
}

async function readJson<T>(reply: HttpReply, connection: Connection): Promise<T> {
  return jsonCaller({ ...connection, call: async () => reply })<T>('GET', '');
}

type Content = 'attach' | 'exec' | 'readFiles' | 'writeFiles' | 'export' | 'commit';

function content(connection: Connection): Pick<ContainerClient, Content> {
  const json = jsonCaller(connection);
  const download = async (path: string) => {
    const reply = await connection.call('GET', path, { headers: { accept: '*/*' } });
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    return reply;
  };
  /** Loaded when it is needed: most commands have no session. */
  const openSession = async (path: string, exec?: ExecConfig) =>
    (await import('./session/client-session.ts')).openSession(connection, path, exec);
  return {
    attach: (ref, { logs, size }) => openSession(`${at(ref)}/attach${query({ logs, ...size })}`),
    exec: (ref, config) => openSession(`${at(ref)}/exec`, config),
    readFiles: (ref, path) => download(`${at(ref)}/files${query({ path })}`),
    writeFiles: async (ref, path, tar) => {
      const headers = { 'content-type': TAR };
      const reply = await connection.call('PUT', `${at(ref)}/files${query({ path })}`, { headers, body: tar });
      await readJson(reply, connection);
    },
    export: (ref) => download(`${at(ref)}/export`),
    commit: (ref, options) => json('POST', `${at(ref)}/commit`, options),
  };
}

export function createContainerClient(env: Record<string, string | undefined>): ContainerClient {
  const connection = connect(env);
  const json = jsonCaller(connection);
  return {
    url: connection.origin,
    ...lifecycle(connection),
    ...content(connection),
    list: async (all) => (await json<{ containers: Container[] }>('GET', `/v1/containers${query({ all })}`)).containers,
    get: (ref) => json('GET', at(ref)),
    create: (request) => json('POST', '/v1/containers', request),
    logs: (ref, { follow, since, tail, signal }) =>
      stream(connection, `${at(ref)}/logs${query({ follow, since, tail })}`, signal),
    top: async (ref) => (await json<{ processes: ContainerProcess[] }>('GET', `${at(ref)}/top`)).processes,
    stats: (ref) => json('GET', `${at(ref)}/stats`),
    changes: async (ref) => (await json<{ changes: ContainerChange[] }>('GET', `${at(ref)}/changes`)).changes,
  };
}
