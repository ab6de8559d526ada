/** A session at this terminal: keys and pipes in, output out, signals on, until the program ends or is left. */
import type { Writable } from 'node:stream';
import type { TerminalSize } from '../../core/containers/types.ts';
import type { ClientSession } from './client-session.ts';
import { createDetachFilter } from './detach-keys.ts';
import { signalExit, takeSignals } from './signals.ts';
import { makeRaw, terminalSize } from './terminal.ts';

export interface SessionOptions {
  /** Sends this process's stdin. */
  stdin: boolean;
  /** The program has a terminal. */
  terminal: boolean;
  /** Byte values; only with a terminal. */
  detachKeys: readonly number[];
  /** Null where signals can not be sent on. */
  forward: ((signal: NodeJS.Signals) => Promise<void>) | null;
  /** Is called when output is listened to: the moment to start the program. */
  begin?: () => Promise<unknown>;
}

/** `left`: by keys or by a signal; the program goes on. */
export type SessionEnd = { kind: 'exited'; code: number } | { kind: 'left'; code: number };

/** Resolves when the bytes were taken: a slow reader holds the program back. */
const writeTo = (stream: Writable, chunk: Buffer) =>
  new Promise<void>((resolve) => {
    stream.write(chunk, () => resolve());
  });

/** @returns the way to stop reading */
function sendStdin(session: ClientSession, keys: readonly number[], onDetach: () => void): () => void {
  const filter = createDetachFilter(keys);
  const { stdin } = process;
  const onData = (chunk: Buffer) => {
    const { data, detached } = filter(chunk);
    if (data.length > 0 && !session.stdin.write(data)) {
      stdin.pause();
      session.stdin.once('drain', () => stdin.resume());
    }
    if (detached) onDetach();
  };
  const onEnd = () => session.stdin.end();
  stdin.on('data', onData).once('end', onEnd).on('error', onEnd);
  return () => {
    stdin.off('data', onData).off('end', onEnd);
    stdin.pause();
    // What is typed later is not ours, and must not keep this process. A file has no such method.
    (stdin as { unref?: () => void }).unref?.();
  };
}

function followSize(session: ClientSession): () => void {
  const tell = () => {
    const size: TerminalSize | undefined = terminalSize(process.stdout);
    if (size !== undefined) session.resize(size);
  };
  process.stdout.on('resize', tell);
  return () => void process.stdout.off('resize', tell);
}

/** @throws WaferError what `begin` throws, the server's problem, `not_reachable` when the connection is lost */
export async function runSession(session: ClientSession, options: SessionOptions): Promise<SessionEnd> {
  const undo: (() => void)[] = [];
  try {
    return await new Promise<SessionEnd>((resolve, reject) => {
      const leave = (code: number) => {
        session.leave();
        resolve({ kind: 'left', code });
      };
      session.onOutput((stream, chunk) => writeTo(process[stream], chunk));
      undo.push(takeSignals({ forward: options.forward, leave: (signal) => leave(signalExit(signal)) }));
      if (options.terminal) undo.push(followSize(session));
      if (options.terminal && options.stdin) undo.push(makeRaw(process.stdin).restore);
      if (options.stdin) undo.push(sendStdin(session, options.terminal ? options.detachKeys : [], () => leave(0)));
      const begun = Promise.resolve(options.begin?.());
      begun.catch((error: unknown) => {
        session.leave();
        reject(error);
      });
      // A program that can not be started ends the session, too; why it can not is known to who started it.
      session.ended.then((code) => begun.then(() => resolve({ kind: 'exited', code })), reject).catch(() => {});
    });
  } finally {
    for (const step of undo.reverse()) step();
  }
}
