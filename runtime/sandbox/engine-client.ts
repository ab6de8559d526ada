/**
 * Owns the engine process: starts it, sends requests, hands out events. When it
 * dies every open request is rejected and every sandbox is dead (the kernel sees to that).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { encodeFrame, type Fields, frameReader, type Pair } from './engine-frames.ts';
import { type EngineInfo, type LimitMode, SandboxError } from './types.ts';

const START_MS = 30_000;

export interface EngineClient {
  readonly info: EngineInfo;
  /** @throws SandboxError with the engine's code, step and message */
  request(op: string, pairs: readonly Pair[]): Promise<Fields>;
  close(): Promise<void>;
}

export interface EngineOptions {
  path: string;
  args: string[];
  onEvent: (event: string, fields: Fields) => void;
  onExit: (reason: string) => void;
}

interface Waiter {
  resolve: (fields: Fields) => void;
  reject: (error: Error) => void;
}

export async function startEngine(options: EngineOptions): Promise<EngineClient> {
  const child = spawnEngine(options);
  const stderr = tail(child);
  const socket = child.stdio[3] as Duplex;
  const waiters = new Map<number, Waiter>();
  let nextId = 1;
  let closing = false;
  let broken = '';
  let fail: (error: Error) => void = () => {};
  const ready = new Promise<EngineInfo>((resolve, reject) => {
    fail = reject;
    const read = frameReader(({ requestId, fields }) => {
      if (requestId !== 0) return settle(waiters, requestId, fields);
      const event = fields.get('event') ?? '';
      if (event === 'ready') resolve(parseInfo(fields));
      else if (event === 'fatal')
        reject(new SandboxError('engine_failed', fields.get('step') ?? 'start', fields.get('message') ?? 'no message'));
      else options.onEvent(event, fields);
    });
    socket.on(
      'data',
      orElse(read, (error) => {
        broken = `: ${error.message}`;
        child.kill('SIGKILL');
      }),
    );
    socket.on('error', () => {}); // the process's exit tells more
    child.once('error', (error) =>
      reject(new SandboxError('engine_failed', 'spawn', `${options.path}: ${error.message}`, { cause: error })),
    );
  });
  const exited = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      const reason = `the engine ended (${signal ?? `status ${code}`})${stderr() ? `: ${stderr()}` : broken}`;
      fail(new SandboxError('engine_failed', 'start', reason));
      for (const waiter of waiters.values()) waiter.reject(new SandboxError('engine_failed', 'request', reason));
      waiters.clear();
      resolve();
      if (!closing) options.onExit(reason);
    });
  });
  const timer = setTimeout(
    () => fail(new SandboxError('engine_failed', 'start', `no answer within ${START_MS / 1000} s`)),
    START_MS,
  );
  try {
    const info = await ready;
    return {
      info,
      request: (op, pairs) =>
        new Promise<Fields>((resolve, reject) => {
          if (socket.destroyed) return reject(new SandboxError('engine_failed', op, 'the engine is not running'));
          const id = nextId++;
          const frame = encodeFrame(id, [['op', op], ...pairs]);
          waiters.set(id, { resolve, reject });
          socket.write(frame);
        }),
      async close() {
        closing = true;
        socket.end();
        socket.destroy();
        await exited;
      },
    };
  } catch (error) {
    closing = true;
    socket.destroy();
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function spawnEngine({ path, args }: EngineOptions): ChildProcess {
  // A clean environment: nothing of the platform's may be inherited by what the engine starts.
  // A session of its own: Ctrl-C at the terminal is for us, and calls that run may still finish.
  return spawn(path, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    detached: true,
  });
}

/** What a listener throws would end the platform; an engine that breaks its protocol only ends itself. */
function orElse(read: (chunk: Buffer) => void, onError: (error: Error) => void): (chunk: Buffer) => void {
  return (chunk) => {
    try {
      read(chunk);
    } catch (error) {
      onError(error as Error);
    }
  };
}

function settle(waiters: Map<number, Waiter>, id: number, fields: Fields): void {
  const waiter = waiters.get(id);
  waiters.delete(id);
  const code = fields.get('error');
  if (code === undefined) waiter?.resolve(fields);
  else waiter?.reject(new SandboxError(code, fields.get('step') ?? 'engine', fields.get('message') ?? code));
}

/** The last 2 KiB that the engine wrote to stderr. */
function tail(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-2048);
  });
  return () => text.trim();
}

function parseInfo(fields: Fields): EngineInfo {
  return {
    ids: fields.get('ids') === 'range' ? 'range' : 'single',
    idsFirst: fields.number('ids_first') ?? 0,
    idsCount: fields.number('ids_count') ?? 1,
    limits: (fields.get('limits') ?? 'none') as LimitMode,
    limitsDetail: fields.get('limits_detail') ?? '',
    groups: { memory: fields.get('limits_memory') ?? '', cpu: fields.get('limits_cpu') ?? '' },
    landlockAbi: fields.number('landlock') ?? 0,
    seccompHash: fields.get('seccomp_hash') ?? '',
    pid: fields.number('pid') ?? 0,
  };
}
