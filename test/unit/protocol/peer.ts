/** A runtime that the test plays itself: the other end of a real unix socket, frame by frame. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodeFrame,
  encodeJson,
  FrameDecoder,
  RULES_TO_RUNTIME,
  TO_HOST,
  TO_RUNTIME,
} from '../../../runtime/protocol/frames.ts';
import {
  type InitSettings,
  openRuntime,
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeConnection,
} from '../../../runtime/protocol/index.ts';

export const SETTINGS: InitSettings = {
  functionName: 'f',
  version: 1,
  codePath: '/function',
  handler: 'index.handler',
  command: [],
  env: {},
  maxResultBytes: 1_000_000,
  maxLogLineBytes: 100,
};
export const EVENT: RuntimeCallHead = { invocationId: 'i1', deadlineMs: 1, attempt: 1, kind: 'event' };

export interface Frame {
  type: number;
  call: number;
  payload: Buffer;
}

export async function socketPair(): Promise<[Socket, Socket]> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-protocol-'));
  const server = createServer().listen(join(dir, 's'));
  await once(server, 'listening');
  const client = connect(join(dir, 's'));
  const [accepted] = (await once(server, 'connection')) as [Socket];
  if (client.connecting) await once(client, 'connect');
  server.close();
  await rm(dir, { recursive: true });
  return [accepted, client];
}

export interface Peer {
  runtime: RuntimeConnection;
  socket: Socket;
  /** Everything that the host sent. */
  frames: Frame[];
  logs: { call: number; id: string | undefined; stream: string; text: string }[];
  closes: { reason: string; message: string }[];
  send: (type: number, call: number, payload?: Buffer | object) => void;
  /** Resolves with the first frame that fits, also one that came before. */
  frame: (type: number, call?: number) => Promise<Frame>;
  closed: Promise<{ reason: string; message: string }>;
}

export async function openPeer(): Promise<Peer> {
  const [host, socket] = await socketPair();
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  const decoder = new FrameDecoder(RULES_TO_RUNTIME, (type, call, payload) => {
    frames.push({ type, call, payload: Buffer.from(payload) });
    return null;
  });
  socket.on('data', (chunk) => {
    const problem = decoder.push(chunk);
    if (problem !== null) throw new Error(`the host broke the protocol: ${problem}`);
    for (const wake of [...waiting]) wake();
  });
  socket.on('error', () => {});
  const logs: Peer['logs'] = [];
  const closes: Peer['closes'] = [];
  let onClosed: (end: { reason: string; message: string }) => void = () => {};
  const closed = new Promise<{ reason: string; message: string }>((resolve) => {
    onClosed = resolve;
  });
  const runtime = openRuntime(host, {
    onLog: (call, id, stream, text) => logs.push({ call, id, stream, text }),
    onClose: (reason, message) => {
      closes.push({ reason, message });
      onClosed({ reason, message });
    },
  });
  const frame: Peer['frame'] = (type, call) =>
    new Promise((resolve) => {
      const look = () => {
        const found = frames.find((one) => one.type === type && (call === undefined || one.call === call));
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  const send: Peer['send'] = (type, call, payload) => {
    const isBytes = payload === undefined || Buffer.isBuffer(payload);
    if (!socket.destroyed) socket.write(isBytes ? encodeFrame(type, call, payload) : encodeJson(type, call, payload));
  };
  return { runtime, socket, frames, logs, closes, send, frame, closed };
}

export const READY = { protocol: 1, runtime: 'node', runtimeVersion: '24.0.0' };

/** A peer that is past INIT_OK. */
export async function openBound(settings: Partial<InitSettings> = {}): Promise<Peer> {
  const peer = await openPeer();
  peer.send(TO_HOST.ready, 0, READY);
  await peer.runtime.ready;
  const init = peer.runtime.init({ ...SETTINGS, ...settings });
  await peer.frame(TO_RUNTIME.init);
  peer.send(TO_HOST.initOk, 0, {});
  await init;
  return peer;
}

export function callEvent(
  peer: Peer,
  body: Parameters<RuntimeConnection['call']>[1] = null,
  signal?: AbortSignal,
): RuntimeCall {
  return peer.runtime.call(EVENT, body, signal ?? new AbortController().signal);
}
