/** The connections that one program was promised: asked for before its request, owned after it. */
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { HostSocket } from './host-socket.ts';
import { type Output, readOutput } from './output.ts';
import type { StreamTokens } from './requests.ts';

export interface ProgramStreams {
  readonly tokens: StreamTokens;
  readonly output: Output;
  /** After the program has started. */
  open(): Promise<{ control: Socket | null; stdin: Writable | null }>;
  /** The program did not start: what has come is closed, what has not is not waited for. */
  cancel(reason: Error): void;
  /** The engine is gone: what has not come will not come. */
  abandon(reason: Error): void;
}

export interface WantedStreams {
  control: boolean;
  stdin: boolean;
  /** Nothing runs: there is no output either. */
  parked?: boolean;
}

export function expectStreams(sockets: HostSocket, wanted: WantedStreams): ProgramStreams {
  const control = wanted.control ? sockets.expect() : null;
  const stdin = wanted.stdin ? sockets.expect() : null;
  const logs = wanted.parked === true ? null : sockets.expect();
  return {
    tokens: { control: control?.token, stdin: stdin?.token, logs: logs?.token },
    output: readOutput(logs === null ? Promise.reject(new Error('nothing runs')) : logs.socket),
    async open() {
      return {
        control: control === null ? null : await control.socket,
        stdin: stdin === null ? null : asStdin(await stdin.socket),
      };
    },
    abandon(reason) {
      for (const one of [logs, control, stdin]) one?.cancel(reason);
    },
    cancel(reason) {
      logs?.cancel(reason);
      for (const one of [control, stdin]) {
        one?.cancel(reason);
        // It may have come before the failure, and nobody else owns it.
        one?.socket.then(
          (socket) => socket.destroy(),
          () => {},
        );
      }
    },
  };
}

/** Pid 1 closes its end when the program does not read any more; then there is nothing left to write to. */
function asStdin(socket: Socket): Writable {
  // It may have ended while the engine was answering: then nothing will say so again.
  if (socket.readableEnded) socket.destroy();
  socket.once('end', () => socket.destroy());
  socket.resume();
  return socket;
}
