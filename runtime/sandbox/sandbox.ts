/** One live sandbox: its streams, its exit, and the requests about it. */
import type { Socket } from 'node:net';
import type { EngineClient } from './engine-client.ts';
import type { Fields, Pair } from './engine-frames.ts';
import type { HostSocket } from './host-socket.ts';
import { type Output, readOutput } from './output.ts';
import {
  type OutputListener,
  type Sandbox,
  SandboxError,
  type SandboxExit,
  type SandboxSpec,
  type SandboxStats,
} from './types.ts';

/** Names come from the host through the egress proxy, whatever the address; 198.18.0.1 is never really reached. */
const RESOLV_CONF = 'nameserver 198.18.0.1\noptions timeout:5 attempts:2\n';
const HOSTS = '127.0.0.1 localhost\n::1 localhost\n';

export interface LiveSandbox {
  start(): Promise<Sandbox>;
  onEvent(event: string, fields: Fields): void;
  engineGone(): void;
}

type ExecExit = { status: number | null; signal: number | null };

export function openSandbox(
  spec: SandboxSpec,
  engine: EngineClient,
  sockets: HostSocket,
  onGone: () => void,
): LiveSandbox {
  const control = spec.control === true ? sockets.expect() : null;
  const logs = sockets.expect();
  const output = readOutput(logs.socket);
  const execs = new Map<string, (exit: ExecExit) => void>();
  let settleExit: (exit: SandboxExit) => void = () => {};
  const exited = new Promise<SandboxExit>((resolve) => {
    settleExit = resolve;
  });
  const finish = async (exit: SandboxExit) => {
    onGone();
    for (const settle of execs.values()) settle({ status: null, signal: 9 });
    await output.ended; // the tail of the output belongs before the exit
    settleExit(exit);
  };
  return {
    async start() {
      try {
        const reply = await engine.request('create', createPairs(spec, control?.token, logs.token));
        const socket = control === null ? null : await control.socket;
        return sandboxOf(spec.id, { engine, sockets, output, execs, exited, socket, reply });
      } catch (error) {
        const reason = error instanceof Error ? error : new Error(String(error));
        control?.cancel(reason);
        logs.cancel(reason);
        // It may have come before the failure, and nobody else owns it.
        control?.socket.then(
          (socket) => socket.destroy(),
          () => {},
        );
        throw error;
      }
    },
    onEvent(event, fields) {
      if (event === 'exit') void finish(parseExit(fields));
      else if (event === 'exec-exit') execs.get(fields.get('exec') ?? '')?.(parseStatus(fields));
    },
    engineGone() {
      logs.cancel(new SandboxError('engine_failed', 'create', 'the engine ended'));
      control?.cancel(new SandboxError('engine_failed', 'create', 'the engine ended'));
      void finish({ status: null, signal: 9, reason: 'engine_ended', memoryPeakBytes: null, cpuMicros: null });
    },
  };
}

interface Running {
  engine: EngineClient;
  sockets: HostSocket;
  output: Output;
  execs: Map<string, (exit: ExecExit) => void>;
  exited: Promise<SandboxExit>;
  socket: Socket | null;
  reply: Fields;
}

function sandboxOf(id: string, running: Running): Sandbox {
  const { engine, output, exited, reply } = running;
  return {
    id,
    pid: reply.number('pid') ?? 0,
    hostUid: reply.number('uid') ?? 0,
    timings: reply.timings(),
    control: running.socket,
    exited,
    onOutput: (listener) => output.listen(listener),
    exec: (argv, options = {}) => exec(id, running, argv, options),
    signal: async (signal) => void (await engine.request('signal', [idPair(id), ['signal', signal]])),
    async stats() {
      return parseStats(await engine.request('stats', [idPair(id)]));
    },
    async destroy() {
      await engine.request('destroy', [idPair(id)]).catch((error: unknown) => {
        if (!(error instanceof SandboxError && error.code === 'engine_failed')) throw error; // a dead engine has no sandboxes
      });
      await exited;
    },
  };
}

const idPair = (id: string): Pair => ['id', id];
let nextExec = 1;

async function exec(
  id: string,
  { engine, sockets, execs }: Running,
  argv: string[],
  options: { env?: Record<string, string>; cwd?: string; onOutput?: OutputListener },
): Promise<ExecExit> {
  const name = `x${nextExec++}`;
  const logs = sockets.expect();
  const output = readOutput(logs.socket);
  output.listen(options.onOutput ?? (() => {}));
  const ended = new Promise<ExecExit>((resolve) => execs.set(name, resolve));
  try {
    await engine.request('exec', [
      idPair(id),
      ['exec', name],
      ['logs', logs.token],
      ...programPairs(argv, options.env ?? {}, options.cwd),
    ]);
    const exit = await ended;
    await output.ended;
    return exit;
  } catch (error) {
    logs.cancel(error instanceof Error ? error : new Error(String(error)));
    throw error;
  } finally {
    execs.delete(name);
  }
}

function programPairs(argv: string[], env: Record<string, string>, cwd: string | undefined): Pair[] {
  return [
    ...argv.map((arg): Pair => ['arg', arg]),
    ...Object.entries(env).map(([name, value]): Pair => ['env', `${name}=${value}`]),
    ...(cwd === undefined ? [] : [['cwd', cwd] satisfies Pair]),
  ];
}

function createPairs(spec: SandboxSpec, control: string | undefined, logs: string): Pair[] {
  const pairs: Pair[] = [idPair(spec.id), ['profile', spec.profile], ['logs', logs]];
  const add = (key: string, value: string | number | undefined) => {
    if (value !== undefined) pairs.push([key, value]);
  };
  for (const layer of spec.layers) add('layer', layer);
  for (const layer of spec.codeLayers ?? []) add('code-layer', layer);
  for (const mount of spec.mountRo ?? []) add('mount-ro', `${mount.work}:${mount.path}`);
  add('upper', spec.upper);
  add('control', control);
  add('memory', spec.memoryBytes);
  add('pids', spec.pids);
  add('cpu', spec.cpuMillis);
  add('tmp', spec.tmpBytes);
  if (spec.user !== undefined) add('user', [spec.user.uid, spec.user.gid, ...spec.user.groups].join(':'));
  add('hosts', HOSTS);
  if (spec.egress !== undefined && spec.egress.mode !== 'none') {
    add('net', 'egress');
    add('resolv', RESOLV_CONF);
  }
  return [...pairs, ...programPairs(spec.argv, spec.env, spec.cwd)];
}

function parseStatus(fields: Fields): ExecExit {
  return { status: fields.number('status'), signal: fields.number('signal') };
}

function parseExit(fields: Fields): SandboxExit {
  const reason = fields.get('reason');
  const known = reason === 'oom' || reason === 'killed' || reason === 'limit' ? reason : 'exited';
  return {
    ...parseStatus(fields),
    reason: known,
    memoryPeakBytes: fields.number('memory_peak'),
    cpuMicros: fields.number('cpu_us'),
  };
}

function parseStats(fields: Fields): SandboxStats {
  return {
    memoryBytes: fields.number('memory'),
    memoryPeakBytes: fields.number('memory_peak'),
    cpuMicros: fields.number('cpu_us'),
    pids: fields.number('pids') ?? 0,
    processes: fields.number('processes'),
  };
}
