/**
 * One run of a program for one call: the event goes to its stdin, the answer is what it
 * writes to stdout. The program is hostile: it may never read, never stop writing, or end
 * before it has read; whatever it leaves running ends with its sandbox.
 */
import type { Readable, Writable } from 'node:stream';
import type { CancelSignal, Sandbox, SandboxProgram } from '../../../runtime/sandbox/index.ts';

export interface ProgramRun {
  sandbox: Sandbox;
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  /** Stays its owner's: what the program does not read is left in it. */
  input: Buffer | Readable;
  maxOutputBytes: number;
  /** Aborted: the program gets SIGTERM. */
  signal: CancelSignal;
  /** Must not throw. */
  onStderr: (chunk: Buffer) => void;
}

export type ProgramEnd =
  | { kind: 'ended'; status: number | null; signal: number | null; output: Buffer }
  | { kind: 'too_large' }
  /** The program's fault when it is a SandboxError `exec_failed`. */
  | { kind: 'not_started'; error: unknown };

const SIGTERM = 15;

/** Never rejects. */
export async function runProgram(run: ProgramRun): Promise<ProgramEnd> {
  const { sandbox, argv, env, cwd, signal } = run;
  let program: SandboxProgram;
  try {
    program = await sandbox.start(argv, { env, cwd, stdin: true });
  } catch (error) {
    return { kind: 'not_started', error };
  }
  const output = collect(program, run);
  const stopFeeding = program.stdin === null ? () => {} : feed(program.stdin, run.input);
  const ask = () => void program.signal(SIGTERM).catch(() => {}); // it has ended
  signal.addEventListener('abort', ask, { once: true });
  if (signal.aborted) ask();
  try {
    const exit = await Promise.race([program.exited, output.overflow]);
    return exit === 'too_large' ? { kind: exit } : { kind: 'ended', ...exit, output: output.bytes() };
  } finally {
    signal.removeEventListener('abort', ask);
    stopFeeding();
  }
}

/** Keeps stdout up to the limit; what comes after it is thrown away until the sandbox ends. */
function collect(program: SandboxProgram, { maxOutputBytes, onStderr }: ProgramRun) {
  const chunks: Buffer[] = [];
  let size = 0;
  let tell: (what: 'too_large') => void = () => {};
  const overflow = new Promise<'too_large'>((resolve) => {
    tell = resolve;
  });
  program.onOutput((stream, chunk) => {
    if (stream === 'stderr') return onStderr(chunk);
    size += chunk.length;
    if (size <= maxOutputBytes) return void chunks.push(chunk);
    chunks.length = 0;
    tell('too_large');
  });
  return { overflow, bytes: () => Buffer.concat(chunks) };
}

/** A program need not read its input: a broken pipe says nothing. */
function feed(stdin: Writable, input: Buffer | Readable): () => void {
  stdin.on('error', () => {});
  if (Buffer.isBuffer(input)) stdin.end(input);
  else input.pipe(stdin);
  return () => {
    if (!Buffer.isBuffer(input)) input.unpipe(stdin);
    stdin.destroy();
  };
}
