/**
 * The real platform for end-to-end tests: the built CLI's `up` as a child process of an
 * ordinary user, on the data directory of this test file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLI, ROOT } from './paths.ts';
import { TEST_DATA } from './test-data.ts';

export interface TestPlatform {
  readonly url: string;
  readonly key: string;
  readonly pid: number;
  /** What `up` printed so far. */
  output(): string;
  /** With the admin key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Deploys inline files; fails the test with the problem's text. */
  deploy(
    name: string,
    files: Record<string, string>,
    config?: object,
  ): Promise<{ number: number; image: string; addedBytes: number }>;
  invoke(name: string, event?: unknown, query?: string): Promise<Reply>;
  wafer(args: string[], options?: { input?: string; env?: Record<string, string> }): Promise<CliResult>;
  remove(name: string): Promise<void>;
  /** Ctrl-C at a terminal: SIGINT to the whole process group (`ownGroup`), and wait. */
  interrupt(): Promise<void>;
  /** SIGTERM and wait. */
  stop(): Promise<void>;
  /** SIGKILL and wait: a crash. */
  kill(): Promise<void>;
}

export interface Reply {
  status: number;
  headers: Headers;
  /** Parsed JSON when it is JSON, else the text. */
  body: unknown;
}

export interface CliResult {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A start that says nothing for this long hangs; making base images takes minutes, more on a slow machine, and is told. */
const SILENCE_MS = 600_000;

export async function startTestPlatform(
  env: Record<string, string> = {},
  { ownGroup = false } = {},
): Promise<TestPlatform> {
  const { WAFER_KEY: _key, WAFER_URL: _url, ...inherited } = process.env;
  const childEnv = {
    ...inherited,
    WAFER_DATA: TEST_DATA,
    WAFER_PORT: '0',
    WAFER_LOG_LEVEL: 'warn',
    NO_COLOR: '1',
    ...env,
  };
  const child = spawn(process.execPath, [CLI, 'up'], {
    env: childEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: ownGroup,
  });
  const output = collect(child);
  const url = await untilUrl(child, output);
  const key = (await readFile(join(childEnv.WAFER_DATA, 'admin.key'), 'utf8')).trim();
  const end = async (signal: NodeJS.Signals, target = child.pid ?? 0) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    process.kill(target, signal);
    await closed;
  };
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...headersOf(init) } });
  return {
    url,
    key,
    pid: child.pid ?? 0,
    output,
    fetch: call,
    async deploy(name, files, config = {}) {
      const init = {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ config, files }),
      };
      const response = await call(`/v1/functions/${name}`, init);
      const text = await response.text();
      if (response.status !== 201) throw new Error(`deploy ${name}: ${response.status} ${text}`);
      return JSON.parse(text) as { number: number; image: string; addedBytes: number };
    },
    async invoke(name, event, query = '') {
      const body =
        event === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(event) };
      return toReply(await call(`/v1/functions/${name}/invoke${query}`, { method: 'POST', ...body }));
    },
    wafer: (args, options = {}) =>
      runCli(args, { ...options, env: { WAFER_URL: url, WAFER_DATA: childEnv.WAFER_DATA, ...options.env } }),
    async remove(name) {
      await call(`/v1/functions/${name}`, { method: 'DELETE' });
    },
    interrupt: () => end('SIGINT', -(child.pid ?? 0)),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

const headersOf = (init: RequestInit): Record<string, string> => Object.fromEntries(new Headers(init.headers));

export async function toReply(response: Response): Promise<Reply> {
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

export async function runCli(
  args: string[],
  options: { input?: string; env?: Record<string, string>; cwd?: string } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    cwd: options.cwd ?? ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {}); // a command that does not read its input
  child.stdin.end(options.input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

function collect(child: ChildProcess): () => string {
  let text = '';
  const add = (chunk: string) => (text += chunk);
  child.stdout?.setEncoding('utf8').on('data', add);
  child.stderr?.setEncoding('utf8').on('data', add);
  return () => text;
}

function untilUrl(child: ChildProcess, output: () => string): Promise<string> {
  return new Promise<string>((done, fail) => {
    const hangs = () => {
      child.kill('SIGKILL');
      fail(new Error(`wafer up said nothing for ${SILENCE_MS} ms:\n${output()}`));
    };
    let silent = setTimeout(hangs, SILENCE_MS);
    const look = () => {
      clearTimeout(silent);
      const url = /serves (http:\/\/[\d.:[\]a-z]+)/.exec(output())?.[1];
      if (url === undefined) {
        silent = setTimeout(hangs, SILENCE_MS);
        return;
      }
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', look);
      done(url);
    };
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', look);
    child.once('close', (code, signal) => {
      clearTimeout(silent);
      fail(new Error(`wafer up ended (${signal ?? code}):\n${output()}`));
    });
  });
}
