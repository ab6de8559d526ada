/** Programs that are started in a live sandbox, next to its first one. */
import type { EngineClient } from './engine-client.ts';
import type { Fields } from './engine-frames.ts';
import type { HostSocket } from './host-socket.ts';
import { idPair, type ProgramExit, parseStatus, programPairs, sizePair } from './requests.ts';
import { expectStreams } from './streams.ts';
import type { OutputListener, ProgramOptions, SandboxProgram } from './types.ts';

export interface Programs {
  start(argv: string[], options: ProgramOptions): Promise<SandboxProgram>;
  exec(
    argv: string[],
    options: { env?: Record<string, string>; cwd?: string; onOutput?: OutputListener },
  ): Promise<ProgramExit>;
  /** The engine's word that one has ended. */
  ended(fields: Fields): void;
  /** The sandbox has ended, and all of them with it. */
  allEnded(): void;
}

let nextName = 1;

export function createPrograms(id: string, engine: EngineClient, sockets: HostSocket): Programs {
  const running = new Map<string, (exit: ProgramExit) => void>();
  const start = async (argv: string[], options: ProgramOptions): Promise<SandboxProgram> => {
    const name = `x${nextName++}`;
    const streams = expectStreams(sockets, {
      control: false,
      stdin: options.stdin === true || options.terminal !== undefined,
    });
    const { output } = streams;
    // Before the request: the end may come in one piece with the answer.
    const ended = new Promise<ProgramExit>((resolve) => running.set(name, resolve));
    const exited = ended.then(async (exit) => {
      running.delete(name);
      output.programEnded();
      await output.ended; // the tail of the output belongs before the exit
      return exit;
    });
    try {
      await engine.request('exec', [idPair(id), ['exec', name], ...programPairs(argv, options, streams.tokens)]);
      const { stdin } = await streams.open();
      const about = [idPair(id), ['exec', name]] as const;
      return {
        stdin,
        onOutput: (listener) => output.listen(listener),
        resize: async (size) => void (await engine.request('resize', [...about, sizePair(size)])),
        signal: async (signal) => void (await engine.request('signal', [...about, ['signal', signal]])),
        exited,
      };
    } catch (error) {
      running.delete(name);
      streams.cancel(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  };
  return {
    start,
    async exec(argv, { onOutput = () => {}, ...options }) {
      const program = await start(argv, options);
      program.onOutput(onOutput);
      return program.exited;
    },
    ended: (fields) => running.get(fields.get('exec') ?? '')?.(parseStatus(fields)),
    allEnded() {
      for (const settle of running.values()) settle({ status: null, signal: 9 });
    },
  };
}
