/**
 * The real platform for end-to-end tests: the built CLI's `up` as a child process of an
 * ordinary user, on a data directory that is kept between runs so that base images are
 * made once. Of the files that run side by side each has a directory: one platform or engine
 * uses it at a time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const CLI = join(ROOT, 'dist/services/cli/main.js');
/** Vitest's worker, from 1; children that a test starts inherit it. */
const LANE = process.env['VITEST_POOL_ID'] ?? '1';
const FIRST_DATA = process.env['WAFER_TEST_DATA'] ?? join(homedir(), '.local/share/wafer-test');
export const TEST_DATA = LANE === '1' ? FIRST_DATA : `${FIRST_DATA}-${LANE}`;

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

/** Waits until the check holds. The only wait that tests use. */
export async function until<T>(
  what: string,
  check: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  ms = 240_000,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value !== false && value !== null && value !== undefined) return value;
    if (Date.now() > end) throw new Error(`still not true after ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export interface HostProcess {
  pid: number;
  ppid: number;
  uid: number;
  /** Base name of argv[0]. */
  command: string;
}

/** Every process below `pid`, itself included. */
export async function processTree(pid: number): Promise<HostProcess[]> {
  const all = await hostProcesses();
  const below = (parent: number): HostProcess[] =>
    all.filter((one) => one.ppid === parent).flatMap((one) => [one, ...below(one.pid)]);
  return [...all.filter((one) => one.pid === pid), ...below(pid)];
}

export async function hostProcesses(): Promise<HostProcess[]> {
  const { readdir } = await import('node:fs/promises');
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map(readProcess));
  return found.filter((one) => one !== null);
}

async function readProcess(pid: string): Promise<HostProcess | null> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1] ?? '';
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return {
      pid: Number(pid),
      ppid: Number(field('PPid')),
      uid: Number(field('Uid')),
      command: basename(argv[0] ?? ''),
    };
  } catch {
    return null; // it ended while we looked
  }
}
