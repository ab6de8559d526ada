/**
 * Starts runtimes for the conformance suite. The launcher is a parameter: `launchProcess`
 * makes plain processes, the sandbox tests bring one that makes sandboxes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import {
  type InitResult,
  openRuntime,
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeConnection,
} from '../../../runtime/protocol/index.ts';
import type { HttpCall, RuntimeName } from './cases.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const LANGUAGES_DIR = `${ROOT}runtime/languages`;
export const FIXTURES_DIR = `${ROOT}test/fixtures/functions`;

export interface Launched {
  /** The host end of fd 3. */
  control: Duplex;
  /** Where the function's code is, as the runtime sees it. */
  codePath: string;
  /** More environment for INIT: a free PORT where the network is shared. */
  env: Record<string, string>;
  /** What the program itself wrote, not through the protocol. */
  output: () => string;
  /** Exit status of the runtime; null when it was killed. */
  exited: Promise<number | null>;
  /** Ends everything; resolves when nothing is left. Idempotent. */
  kill: () => Promise<void>;
}

/** Starts a runtime with the code of `codeDir`, up to before READY. */
export type Launch = (runtime: RuntimeName, codeDir: string) => Promise<Launched>;

/** The argv of each runtime, for a `runtime/languages` at `dir`. */
export function runtimeArgv(runtime: RuntimeName, dir: string, adapter = 'wafer-http'): string[] {
  if (runtime === 'node') return ['node', `${dir}/node/build/main.cjs`];
  if (runtime === 'python') return ['python3', '-I', '-S', `${dir}/python/main.py`];
  return [`${dir}/http/build/${adapter}`];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

export async function launchProcess(runtime: RuntimeName, codeDir: string, adapter?: string): Promise<Launched> {
  const [program = '', ...args] = runtimeArgv(runtime, LANGUAGES_DIR, adapter);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOST_SECRET: 'leaked' },
  });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    output += chunk;
  });
  const exited = once(child, 'exit').then(([status]) => status as number | null);
  return {
    control: child.stdio[3] as unknown as Duplex,
    codePath: codeDir,
    env: runtime === 'http' ? { PORT: String(await freePort()) } : {},
    output: () => output,
    exited,
    kill: () => endProcess(child, exited),
  };
}

async function endProcess(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await exited;
}

export interface LogEntry {
  call: number;
  invocationId: string | undefined;
  stream: 'stdout' | 'stderr';
  text: string;
}

export interface StartOptions {
  behaviour?: string;
  handler?: string;
  command?: string[];
  env?: Record<string, string>;
  maxResultBytes?: number;
  maxLogLineBytes?: number;
}

export interface Started {
  runtime: RuntimeConnection;
  launched: Launched;
  init: InitResult;
  logs: LogEntry[];
  /** Bytes that came from the runtime. */
  received: () => number;
  closed: Promise<{ reason: string; message: string }>;
  call: (event: unknown, options?: { id?: string; signal?: AbortSignal }) => RuntimeCall;
  raw: (body: string) => RuntimeCall;
  http: (call: HttpCall, body?: Buffer | Readable | null) => RuntimeCall;
}

/** A runtime of the fixtures, bound to one behaviour. */
export async function start(launch: Launch, name: RuntimeName, options: StartOptions): Promise<Started> {
  const launched = await launch(name, `${FIXTURES_DIR}/${name}`);
  const logs: LogEntry[] = [];
  let received = 0;
  launched.control.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  let onClosed: (end: { reason: string; message: string }) => void = () => {};
  const closed = new Promise<{ reason: string; message: string }>((resolve) => {
    onClosed = resolve;
  });
  const runtime = openRuntime(launched.control, {
    onLog: (call, invocationId, stream, text) => logs.push({ call, invocationId, stream, text }),
    onClose: (reason, message) => onClosed({ reason, message }),
  });
  await runtime.ready;
  const init = await runtime.init({
    functionName: 'conformance',
    version: 7,
    codePath: launched.codePath,
    handler: name === 'http' ? '' : (options.handler ?? `behaviours.${options.behaviour}`),
    command: name === 'http' ? (options.command ?? ['node', 'server.mjs', options.behaviour ?? '']) : [],
    env: { ...launched.env, ...options.env },
    maxResultBytes: options.maxResultBytes ?? 6_291_456,
    maxLogLineBytes: options.maxLogLineBytes ?? 65_536,
  });
  const head = (id: string) => ({ invocationId: id, deadlineMs: 4_000_000_000_000, attempt: 2 });
  const open = (call: RuntimeCallHead, body: Buffer | Readable | null, signal?: AbortSignal) =>
    runtime.call(call, body, signal ?? new AbortController().signal);
  return {
    runtime,
    launched,
    init,
    logs,
    received: () => received,
    closed,
    call: (event, { id = 'inv-1', signal } = {}) =>
      open({ ...head(id), kind: 'event' }, Buffer.from(JSON.stringify(event ?? null)), signal),
    raw: (body) => open({ ...head('inv-1'), kind: 'event' }, Buffer.from(body)),
    http: ({ method, path, query = '', headers = [], body }, stream) =>
      open(
        { ...head('inv-1'), kind: 'http', method, path, query, headers },
        stream ?? (body === undefined ? null : Buffer.from(body)),
      ),
  };
}

export async function readAll(body: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Waits for a condition of the world; the test's own time-out bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
