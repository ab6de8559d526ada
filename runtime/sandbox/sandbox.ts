/** One live sandbox: its streams, its exit, and the requests about it. */
import type { Socket } from 'node:net';
import type { Duplex, Writable } from 'node:stream';
import type { EngineClient } from './engine-client.ts';
import type { Fields } from './engine-frames.ts';
import type { HostSocket } from './host-socket.ts';
import { createPrograms, type Programs } from './program.ts';
import {
  attachPairs,
  createPairs,
  hasNetwork,
  idPair,
  mountPairs,
  parseExit,
  parseProcesses,
  parseStats,
  sizePair,
} from './requests.ts';
import { expectStreams, type ProgramStreams } from './streams.ts';
import type { Transfers } from './transfers.ts';
import { type Sandbox, SandboxError, type SandboxExit, type SandboxSpec } from './types.ts';
import { createUsage } from './usage.ts';

export interface LiveSandbox {
  start(): Promise<Sandbox>;
  onEvent(event: string, fields: Fields): void;
  /** Into its network; see `Sandbox.connect`. */
  connect(port: number): Promise<Duplex>;
  engineGone(): void;
}

export interface SandboxParts {
  engine: EngineClient;
  sockets: HostSocket;
  transfers: Transfers;
  onGone: () => void;
  setEgress: Sandbox['setEgress'];
}

export function openSandbox(spec: SandboxSpec, parts: SandboxParts): LiveSandbox {
  const { engine, sockets, transfers, onGone } = parts;
  const setEgress: Sandbox['setEgress'] = (...egress) => {
    if (!hasNetwork(spec))
      throw new SandboxError('no_egress', 'egress', `sandbox ${spec.id} was made without a network`);
    parts.setEgress(...egress);
  };
  const streams = expectStreams(sockets, {
    control: spec.control === true,
    stdin: spec.stdin === true || spec.terminal !== undefined,
    parked: spec.argv.length === 0,
  });
  const programs = createPrograms(spec.id, engine, sockets);
  let settleExit: (exit: SandboxExit) => void = () => {};
  const exited = new Promise<SandboxExit>((resolve) => {
    settleExit = resolve;
  });
  const finish = async (exit: SandboxExit) => {
    onGone();
    programs.allEnded();
    streams.output.programEnded();
    await streams.output.ended; // the tail of the output belongs before the exit
    settleExit(exit);
  };
  return {
    async start() {
      try {
        const reply = await engine.request('create', createPairs(spec, streams.tokens));
        const opened = await streams.open();
        return sandboxOf(spec.id, { engine, transfers, streams, programs, exited, setEgress, reply, ...opened });
      } catch (error) {
        streams.cancel(error instanceof Error ? error : new Error(String(error)));
        throw error;
      }
    },
    onEvent(event, fields) {
      if (event === 'exit') void finish(parseExit(fields));
      else if (event === 'exec-exit') programs.ended(fields);
    },
    connect: (port) => transfers.connect('connect', [idPair(spec.id), ['port', port]]),
    engineGone() {
      streams.abandon(new SandboxError('engine_failed', 'create', 'the engine ended'));
      void finish({ status: null, signal: 9, reason: 'engine_ended', memoryPeakBytes: null, cpuMicros: null });
    },
  };
}

interface Running {
  engine: EngineClient;
  transfers: Transfers;
  streams: ProgramStreams;
  programs: Programs;
  exited: Promise<SandboxExit>;
  setEgress: Sandbox['setEgress'];
  reply: Fields;
  control: Socket | null;
  stdin: Writable | null;
}

const forkOf = (reply: Fields): { fork?: true | string } => {
  const why = reply.get('not_forked');
  if (why !== undefined) return { fork: why };
  return reply.get('forked') === '1' ? { fork: true } : {};
};

function sandboxOf(id: string, running: Running): Sandbox {
  const { engine, transfers, programs, exited, reply } = running;
  const ask = (op: string, ...pairs: Parameters<EngineClient['request']>[1]) =>
    engine.request(op, [idPair(id), ...pairs]);
  const usage = createUsage(engine.info, reply.get('cgroup') ?? '');
  void exited.then(usage.close);
  return {
    id,
    pid: reply.number('pid') ?? 0,
    hostUid: reply.number('uid') ?? 0,
    timings: reply.timings(),
    ...forkOf(reply),
    control: running.control,
    stdin: running.stdin,
    exited,
    onOutput: (listener) => running.streams.output.listen(listener),
    exec: (argv, options = {}) => programs.exec(argv, options),
    start: (argv, options = {}) => programs.start(argv, options),
    resize: async (size) => void (await ask('resize', sizePair(size))),
    signal: async (signal) => void (await ask('signal', ['signal', signal])),
    attach: async (code) => void (await ask('attach', ...attachPairs(code))),
    mount: async (volumes) => void (await ask('mount', ...mountPairs(volumes))),
    setEgress: running.setEgress,
    freeze: async () => void (await ask('freeze')),
    thaw: async () => void (await ask('thaw')),
    connect: (port) => transfers.connect('connect', [idPair(id), ['port', port]]),
    processes: async () => parseProcesses(await ask('processes')),
    readFiles: (path) => transfers.receiveStarted('read-files', [idPair(id), ['path', path]]),
    writeFiles: async (path, tar) => void (await transfers.send('write-files', [idPair(id), ['path', path]], tar)),
    usage: () => usage.now,
    async stats() {
      return parseStats(await ask('stats'));
    },
    async destroy() {
      await ask('destroy').catch((error: unknown) => {
        if (!(error instanceof SandboxError && error.code === 'engine_failed')) throw error; // a dead engine has no sandboxes
      });
      await exited;
    },
  };
}
