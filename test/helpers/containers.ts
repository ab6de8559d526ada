/** The real platform in this process, and what tests of containers ask of its API. */
import WebSocket from 'ws';
import { readConfig } from '../../services/core/config.ts';
import type { Container, ContainerLogLine } from '../../services/core/containers/types.ts';
import { createLog } from '../../services/core/log.ts';
import { type Platform, startPlatform } from '../../services/platform.ts';
import { TEST_DATA } from './test-data.ts';

export interface ContainerLab {
  platform(): Platform;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Of debian12 unless it says otherwise; fails the test with the problem's text. */
  create(config: Record<string, unknown>): Promise<Container>;
  inspect(ref: string): Promise<Container>;
  /** To `/v1/containers/<path>`; fails the test when it is refused. */
  post(path: string, body?: object): Promise<Response>;
  start(config: Record<string, unknown>): Promise<Container>;
  wait(ref: string): Promise<number>;
  logs(ref: string, query?: string): Promise<ContainerLogLine[]>;
  /** Closes the platform, and opens it on the same data. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** Commands of containers. */
export const sh = (script: string): string[] => ['sh', '-c', script];
export const SLEEP = ['sleep', '1000000'];

const open = () =>
  startPlatform(readConfig({ ...process.env, WAFER_DATA: TEST_DATA, WAFER_PORT: '0', WAFER_LOG_LEVEL: 'warn' }), {
    log: createLog({ level: process.env['WAFER_LOG_LEVEL'] ?? 'error' }),
  });

/** What the lab made is removed when it closes. */
export async function openContainerLab(): Promise<ContainerLab> {
  let platform = await open();
  const made = new Set<string>();
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${platform.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${platform.adminKey}`, ...Object.fromEntries(new Headers(init.headers)) },
    });
  const checked = async (path: string, init?: RequestInit) => {
    const response = await call(path, init);
    if (!response.ok) throw new Error(`${init?.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const json = (body: object) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const create = async (config: Record<string, unknown>) => {
    const response = await checked('/v1/containers', { method: 'POST', ...json({ image: 'debian12', ...config }) });
    const container = (await response.json()) as Container;
    made.add(container.id);
    return container;
  };
  const post = (path: string, body?: object) =>
    checked(`/v1/containers/${path}`, { method: 'POST', ...(body === undefined ? {} : json(body)) });
  const inspect = async (ref: string) => (await (await checked(`/v1/containers/${ref}`)).json()) as Container;
  return {
    platform: () => platform,
    fetch: call,
    create,
    inspect,
    post,
    async start(config) {
      const { id } = await create(config);
      await post(`${id}/start`);
      return inspect(id);
    },
    async wait(ref) {
      const { exitCode } = (await (await checked(`/v1/containers/${ref}/wait`)).json()) as { exitCode: number };
      return exitCode;
    },
    async logs(ref, query = '') {
      const text = await (await checked(`/v1/containers/${ref}/logs${query}`)).text();
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as ContainerLogLine);
    },
    async reopen() {
      await platform.close();
      platform = await open();
    },
    async close() {
      for (const id of made) await call(`/v1/containers/${id}?force=true`, { method: 'DELETE' });
      await platform.close();
    },
  };
}

export interface TestSession {
  /** What came so far, both streams. */
  text(): string;
  stdout(): string;
  stderr(): string;
  send(channel: number, bytes: string | Buffer): void;
  sendText(text: string): void;
  stdin(text: string): void;
  endStdin(): void;
  /** Resolves when the output has it. */
  until(text: string): Promise<string>;
  /** The server's last word. */
  readonly end: Promise<{ exitCode?: number; problem?: { code: string; detail: string } }>;
  readonly closed: Promise<number>;
  readonly socket: WebSocket;
}

export interface SessionRequest {
  headers?: Record<string, string>;
  protocols?: string[];
  /** Reads nothing until somebody resumes the socket. */
  isPaused?: boolean;
}

/** Rejects with the status when the upgrade is refused. */
export function openTestSession(
  { platform }: Pick<ContainerLab, 'platform'>,
  path: string,
  { headers = {}, protocols = ['wafer.session.v1'], isPaused = false }: SessionRequest = {},
): Promise<TestSession> {
  const { url, adminKey } = platform();
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/containers/${path}`, protocols, {
    headers: { authorization: `Bearer ${adminKey}`, ...headers },
  });
  const output: Record<1 | 2, string> = { 1: '', 2: '' };
  let all = '';
  const waiting = new Set<(more: string) => void>();
  let tell: (end: { exitCode?: number }) => void = () => {};
  const end = new Promise<{ exitCode?: number; problem?: { code: string; detail: string } }>((resolve) => {
    tell = resolve;
  });
  const closed = new Promise<number>((resolve) => socket.on('close', (code) => resolve(code)));
  socket.on('message', (data: Buffer) => {
    const [channel] = data;
    const text = data.toString('utf8', 1);
    if (channel === 3) tell(JSON.parse(text));
    else if (channel === 1 || channel === 2) {
      output[channel] += text;
      all += text;
      for (const look of waiting) look(text);
    }
  });
  const send = (channel: number, bytes: string | Buffer) =>
    socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(bytes)]));
  const session: TestSession = {
    text: () => all,
    stdout: () => output[1],
    stderr: () => output[2],
    send,
    sendText: (text) => socket.send(text),
    stdin: (text) => send(0, text),
    endStdin: () => send(0, ''),
    until: (wanted) =>
      new Promise((resolve, reject) => {
        // Only what is new is searched, with what may be the beginning: the whole may be large.
        let carry = all;
        const look = (more: string) => {
          carry += more;
          const isThere = carry.includes(wanted);
          carry = carry.slice(-wanted.length);
          if (!isThere) return;
          waiting.delete(look);
          resolve(all);
        };
        waiting.add(look);
        void closed.then(() => reject(new Error(`closed before ${JSON.stringify(wanted)} came`)));
        look('');
      }),
    end,
    closed,
    socket,
  };
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      if (isPaused) socket.pause();
      resolve(session);
    });
    socket.on('error', () => {});
    socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => reject(new Error(`${response.statusCode} ${body}`)));
    });
  });
}
