/** Tar streams to and from the engine's jobs, each over a connection of its own. */
import type { Socket } from 'node:net';
import { type Duplex, PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EngineClient } from './engine-client.ts';
import type { Fields, Pair } from './engine-frames.ts';
import type { HostSocket } from './host-socket.ts';
import { SandboxError } from './types.ts';

export interface Transfers {
  /** Feeds `source` to the job `op`. @throws the source's own failure first, then the engine's */
  send(op: string, pairs: readonly Pair[], source: Readable, signal?: AbortSignal): Promise<Fields>;
  /** What the job `op` writes. The stream errors when the job failed: a cut tar must not look whole. */
  receive(op: string, pairs: readonly Pair[], onDone?: (reply: Fields) => void): Readable;
  /** Like `receive`, but rejects when the job failed before its first byte. */
  receiveStarted(op: string, pairs: readonly Pair[]): Promise<Readable>;
  /** A connection that the engine makes and then leaves to us. */
  connect(op: string, pairs: readonly Pair[]): Promise<Duplex>;
}

export function createTransfers(engine: EngineClient, sockets: HostSocket): Transfers {
  const ask = (op: string, pairs: readonly Pair[]) => {
    const data = sockets.expect();
    const reply = engine.request(op, [...pairs, ['data', data.token]]);
    reply.catch((error: Error) => data.cancel(error)); // refused before it connected
    return { socket: data.socket, reply };
  };
  const receive = (op: string, pairs: readonly Pair[], onDone?: (reply: Fields) => void) => {
    const { socket, reply } = ask(op, pairs);
    return { out: untilDone(socket, reply, onDone), socket, reply };
  };
  return {
    async send(op, pairs, source, signal) {
      const { socket, reply } = ask(op, pairs);
      const feed = socket.then((open) => pipeline(source, open, signal === undefined ? {} : { signal }));
      feed.catch(() => {});
      // The source's own failure cuts the stream, so the engine fails too; the source's error says why.
      const [fed, done] = await Promise.allSettled([feed, reply]);
      if (done.status === 'rejected') source.destroy();
      if (fed.status === 'rejected' && !isClosedEarly(fed.reason)) throw fed.reason;
      if (done.status === 'rejected') throw done.reason;
      return done.value;
    },
    receive: (op, pairs, onDone) => receive(op, pairs, onDone).out,
    async receiveStarted(op, pairs) {
      const { out, reply } = receive(op, pairs);
      const begun = new Promise<void>((resolve) => out.once('readable', resolve));
      await Promise.race([begun, reply]);
      return out;
    },
    async connect(op, pairs) {
      const { socket, reply } = ask(op, pairs);
      await reply;
      return socket;
    },
  };
}

/** `onDone` before the stream ends. */
function untilDone(socket: Promise<Socket>, reply: Promise<Fields>, onDone?: (reply: Fields) => void): Readable {
  const out = new PassThrough();
  // It may fail before its reader has begun: that must not end the process.
  out.on('error', () => {});
  reply.catch((error: Error) => out.destroy(error));
  socket
    .then((open) => pipeline(open, out, { end: false }).finally(() => open.destroy())) // half-open otherwise
    .then(() => reply)
    .then(
      (fields) => {
        onDone?.(fields);
        out.end();
      },
      (error: Error) => out.destroy(error),
    );
  return out;
}

/** The engine stops reading when it refuses an archive; that is its story to tell, not the pipe's. */
function isClosedEarly(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return (
    code === 'EPIPE' || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || error instanceof SandboxError
  );
}
