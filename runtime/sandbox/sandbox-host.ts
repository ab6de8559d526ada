/**
 * Sandboxes as the worker sees them: one engine, one host socket, and for every
 * live sandbox its exit, its output and its control connection.
 */
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EgressVerdict } from './egress/index.ts';
import { createEgress, type Egress } from './egress/index.ts';
import { type EngineClient, startEngine } from './engine-client.ts';
import type { Fields, Pair } from './engine-frames.ts';
import { type HostSocket, openHostSocket } from './host-socket.ts';
import { type LiveSandbox, openSandbox } from './sandbox.ts';
import { SandboxError, type SandboxHost, type SandboxHostOptions, type SandboxSpec } from './types.ts';

export interface SandboxHostHooks {
  onVerdict?: (verdict: EgressVerdict) => void;
}

/** @throws SandboxError when the engine can not start */
export async function openSandboxHost(options: SandboxHostOptions & SandboxHostHooks): Promise<SandboxHost> {
  const live = new Map<string, LiveSandbox>();
  const egress = createEgress({ onVerdict: options.onVerdict ?? (() => {}) });
  const sockets = await openHostSocket(join(options.runDir, 'host.sock'), (words, socket) =>
    routeEgress(egress, words, socket),
  );
  let engine: EngineClient;
  try {
    engine = await startEngine({
      path: options.enginePath,
      args: engineArgs(options, sockets.path),
      onEvent: (event, fields) => live.get(fields.get('id') ?? '')?.onEvent(event, fields),
      onExit: (reason) => {
        for (const sandbox of live.values()) sandbox.engineGone();
        live.clear();
        options.onEngineExit?.(reason);
      },
    });
  } catch (error) {
    await sockets.close();
    throw error;
  }
  return {
    info: engine.info,
    create: (spec) => create(spec, { engine, sockets, live, egress }),
    unpack: (layer, tar, limits = {}) => unpack(engine, sockets, layer, tar, limits),
    pack: async (upper, packing = {}) => pack(engine, sockets, upper, packing),
    removeLayer: async (name) => void (await engine.request('remove', [['layer', name]])),
    removeWork: async (name) => void (await engine.request('remove', [['work', name]])),
    async list() {
      const fields = await engine.request('list', []);
      return { layers: fields.all('layer'), work: fields.all('work') };
    },
    async engineStats() {
      const fields = await engine.request('stats', []);
      const count = (key: string) => fields.number(key) ?? 0;
      return { sandboxes: count('sandboxes'), fds: count('fds'), children: count('children') };
    },
    async close() {
      await engine.close();
      for (const sandbox of live.values()) sandbox.engineGone();
      await sockets.close();
    },
  };
}

function engineArgs(options: SandboxHostOptions, hostSocket: string): string[] {
  const { layersDir, workDir, languagesDir, limits = 'auto' } = options;
  return [
    '--layers',
    layersDir,
    '--work',
    workDir,
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
  live: Map<string, LiveSandbox>;
  egress: Egress;
}

async function create(spec: SandboxSpec, { engine, sockets, live, egress }: Parts) {
  if (live.has(spec.id)) throw new SandboxError('exists', 'create', `sandbox ${spec.id} is live`);
  const sandbox = openSandbox(spec, engine, sockets, () => {
    live.delete(spec.id);
    egress.unregister(spec.id);
  });
  // Registered before the request: output, egress and exit may arrive before the reply.
  live.set(spec.id, sandbox);
  try {
    if (spec.egress !== undefined && spec.egress.mode !== 'none') egress.register(spec.id, spec.egress);
    return await sandbox.start();
  } catch (error) {
    live.delete(spec.id);
    egress.unregister(spec.id);
    throw error;
  }
}

function routeEgress(egress: Egress, words: string[], socket: import('node:net').Socket): void {
  const [id = '', kind, address = '', port = ''] = words;
  if (kind === 'dns') egress.handleDns(id, socket);
  else if (kind === 'tcp') egress.handleTcp(id, address, Number(port), socket);
  else socket.destroy();
}

async function unpack(
  engine: EngineClient,
  sockets: HostSocket,
  layer: string,
  tar: Readable,
  limits: { signal?: AbortSignal; maxBytes?: number; maxEntries?: number },
) {
  const data = sockets.expect();
  const pairs: Pair[] = [
    ['layer', layer],
    ['data', data.token],
  ];
  if (limits.maxBytes !== undefined) pairs.push(['max-bytes', limits.maxBytes]);
  if (limits.maxEntries !== undefined) pairs.push(['max-entries', limits.maxEntries]);
  const reply = engine.request('unpack', pairs);
  reply.catch((error: Error) => data.cancel(error)); // refused before it connected
  const feed = data.socket.then((socket) =>
    pipeline(tar, socket, limits.signal === undefined ? {} : { signal: limits.signal }),
  );
  feed.catch(() => {});
  // The source's own failure cuts the stream, so the engine fails too; the source's error says why.
  const [fed, done] = await Promise.allSettled([feed, reply]);
  if (fed.status === 'rejected' && !isClosedEarly(fed.reason)) throw fed.reason;
  if (done.status === 'rejected') throw done.reason;
  return unpackResult(done.value);
}

/** The engine stops reading when it refuses an archive; that is its story to tell, not the pipe's. */
function isClosedEarly(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return (
    code === 'EPIPE' || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || error instanceof SandboxError
  );
}

function unpackResult(fields: Fields) {
  return {
    entries: fields.number('entries') ?? 0,
    bytes: fields.number('bytes') ?? 0,
    existed: fields.get('existed') === '1',
  };
}

function pack(
  engine: EngineClient,
  sockets: HostSocket,
  upper: string,
  options: { only?: string[]; mtimeSeconds?: number },
): Readable {
  const data = sockets.expect();
  const out = new PassThrough();
  // It may fail before its reader has begun: that must not end the process.
  out.on('error', () => {});
  const pairs: Pair[] = [
    ['upper', upper],
    ['data', data.token],
    ...(options.only ?? []).map((prefix): Pair => ['only', prefix]),
  ];
  if (options.mtimeSeconds !== undefined) pairs.push(['mtime', options.mtimeSeconds]);
  const reply = engine.request('pack', pairs);
  reply.catch((error: Error) => {
    data.cancel(error);
    out.destroy(error);
  });
  // End of stream only after the engine's ok: a cut tar must not look whole.
  data.socket
    .then((socket) => pipeline(socket, out, { end: false }).finally(() => socket.destroy())) // half-open otherwise
    .then(() => reply)
    .then(
      () => out.end(),
      (error: Error) => out.destroy(error),
    );
  return out;
}
