/**
 * Sandboxes as the worker sees them: one engine, one host socket, and for every
 * live sandbox its exit, its output and its control connection.
 */
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { createEgress, type Egress } from './egress/index.ts';
import { type EngineClient, startEngine } from './engine-client.ts';
import type { Pair } from './engine-frames.ts';
import { type HostSocket, openHostSocket } from './host-socket.ts';
import { hasNetwork } from './requests.ts';
import { type LiveSandbox, openSandbox } from './sandbox.ts';
import { createTransfers, type Transfers } from './transfers.ts';
import {
  type EgressVerdict,
  type PackOptions,
  SandboxError,
  type SandboxHost,
  type SandboxHostOptions,
  type SandboxSpec,
} from './types.ts';
import { createVolumeHost } from './volumes.ts';
import { createZygotes } from './zygote.ts';

export interface SandboxHostHooks {
  onVerdict?: (verdict: EgressVerdict) => void;
}

/** @throws SandboxError when the engine can not start */
export async function openSandboxHost(options: SandboxHostOptions & SandboxHostHooks): Promise<SandboxHost> {
  const live = new Map<string, LiveSandbox>();
  const egress = createEgress({
    onVerdict: options.onVerdict ?? (() => {}),
    connectPeer: (sandboxId, port) => connectPeer(live.get(sandboxId), sandboxId, port),
  });
  const sockets = await openHostSocket(join(options.runDir, 'host.sock'), (words, socket) =>
    routeEgress(egress, words, socket),
  );
  let engine: EngineClient;
  const zygotes = createZygotes(() => engine);
  try {
    engine = await startEngine({
      path: options.enginePath,
      args: engineArgs(options, sockets.path),
      onEvent: (event, fields) => {
        const id = fields.get('id') ?? '';
        if (event === 'zygote-exit') zygotes.ended(id);
        else live.get(id)?.onEvent(event, fields);
      },
      onExit: (reason) => {
        zygotes.engineGone();
        for (const sandbox of live.values()) sandbox.engineGone();
        live.clear();
        options.onEngineExit?.(reason);
      },
    });
  } catch (error) {
    await sockets.close();
    throw error;
  }
  const transfers = createTransfers(engine, sockets);
  return {
    info: engine.info,
    create: (spec) => create(spec, { engine, sockets, transfers, live, egress }),
    startZygote: (spec) => zygotes.start(spec),
    unpack: (layer, tar, limits = {}) => unpack(transfers, layer, tar, limits),
    pack: async (upper, packing = {}) => pack(transfers, upper, packing),
    adopt: (upper, layer) => adopt(engine, upper, layer),
    removeLayer: async (name) => void (await engine.request('remove', [['layer', name]])),
    removeWork: async (name) => void (await engine.request('remove', [['work', name]])),
    measureWork: async (name) => (await engine.request('measure', [['work', name]])).number('bytes') ?? 0,
    removeVolume: async (name) => void (await engine.request('remove', [['volume', name]])),
    volumes: createVolumeHost(engine, transfers),
    async list() {
      const fields = await engine.request('list', []);
      return { layers: fields.all('layer'), work: fields.all('work') };
    },
    async engineStats() {
      const fields = await engine.request('stats', []);
      const count = (key: string) => fields.number(key) ?? 0;
      return { sandboxes: count('sandboxes'), fds: count('fds'), children: count('children'), ids: count('ids') };
    },
    async close() {
      await engine.close();
      zygotes.engineGone();
      for (const sandbox of live.values()) sandbox.engineGone();
      await sockets.close();
    },
  };
}

function engineArgs(options: SandboxHostOptions, hostSocket: string): string[] {
  const { layersDir, workDir, volumesDir, languagesDir, limits = 'auto' } = options;
  return [
    '--layers',
    layersDir,
    '--work',
    workDir,
    '--volumes',
    volumesDir,
    '--languages',
    languagesDir,
    '--host-socket',
    hostSocket,
    '--limits',
    limits,
  ];
}

interface Parts {
  engine: EngineClient;
  sockets: HostSocket;
  transfers: Transfers;
  live: Map<string, LiveSandbox>;
  egress: Egress;
}

async function create(spec: SandboxSpec, { live, egress, ...parts }: Parts) {
  if (live.has(spec.id)) throw new SandboxError('exists', 'create', `sandbox ${spec.id} is live`);
  const onGone = () => {
    live.delete(spec.id);
    egress.unregister(spec.id);
  };
  const { peers } = spec;
  const sandbox = openSandbox(spec, {
    ...parts,
    onGone,
    setEgress(policy, account) {
      if (!live.has(spec.id)) return; // it has ended
      egress.register(spec.id, policy, { peers, account });
    },
  });
  // Registered before the request: output, egress and exit may arrive before the reply.
  live.set(spec.id, sandbox);
  try {
    if (hasNetwork(spec))
      egress.register(spec.id, spec.egress ?? { mode: 'none' }, { peers, account: spec.egressAccount });
    return await sandbox.start();
  } catch (error) {
    onGone();
    throw error;
  }
}

async function connectPeer(peer: LiveSandbox | undefined, id: string, port: number): Promise<Duplex> {
  if (peer === undefined) throw new SandboxError('not_found', 'connect', `sandbox ${id} is not live`);
  return peer.connect(port);
}

function routeEgress(egress: Egress, words: string[], socket: import('node:net').Socket): void {
  const [id = '', kind, address = '', port = ''] = words;
  if (kind === 'dns') egress.handleDns(id, socket);
  else if (kind === 'tcp') egress.handleTcp(id, address, Number(port), socket);
  else socket.destroy();
}

async function unpack(
  transfers: Transfers,
  layer: string,
  tar: Readable,
  limits: { signal?: AbortSignal; maxBytes?: number; maxEntries?: number },
) {
  const pairs: Pair[] = [['layer', layer]];
  if (limits.maxBytes !== undefined) pairs.push(['max-bytes', limits.maxBytes]);
  if (limits.maxEntries !== undefined) pairs.push(['max-entries', limits.maxEntries]);
  const fields = await transfers.send('unpack', pairs, tar, limits.signal);
  return {
    entries: fields.number('entries') ?? 0,
    bytes: fields.number('bytes') ?? 0,
    existed: fields.get('existed') === '1',
  };
}

function pack(transfers: Transfers, upper: string, options: PackOptions): Readable {
  const pairs: Pair[] = [['upper', upper], ...(options.only ?? []).map((prefix): Pair => ['only', prefix])];
  if (options.mtimeSeconds !== undefined) pairs.push(['mtime', options.mtimeSeconds]);
  return transfers.receive('pack', pairs, (fields) => options.onLeftOut?.(fields.number('left_out') ?? 0));
}

async function adopt(engine: EngineClient, upper: string, layer: string): Promise<boolean> {
  try {
    await engine.request('adopt', [
      ['upper', upper],
      ['layer', layer],
    ]);
    return true;
  } catch (error) {
    const isElsewhere =
      error instanceof SandboxError && error.code === 'adopt_failed' && /cross-device/.test(error.message);
    if (isElsewhere) return false;
    throw error;
  }
}
