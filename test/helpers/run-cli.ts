/** The real CLI as a child process: `wafer ARGS`, with a clean environment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { CLI, ROOT } from './paths.ts';

export interface CliResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  stdoutBytes: Buffer;
}

export interface CliOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Written to stdin; without it stdin is /dev/null. */
  input?: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  /** Resolves when stdout holds `text`; rejects when the program ends before. */
  waitFor(text: string): Promise<void>;
  readonly ended: Promise<CliResult>;
}

/** argv of the CLI, as it was built. */
export const CLI_ARGV = [process.execPath, CLI] as const;

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const [node, ...rest] = CLI_ARGV;
  const child = spawn(node, [...rest, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  if (options.input !== undefined) child.stdin?.end(options.input);
  const chunks: Buffer[] = [];
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const stdoutBytes = Buffer.concat(chunks);
      resolve({ code, signal, stdout: stdoutBytes.toString(), stderr, stdoutBytes });
    });
  });
  const waitFor = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (Buffer.concat(chunks).toString().includes(text)) resolve();
      };
      child.stdout?.on('data', check);
      void ended.then(() => reject(new Error(`wafer ended before it printed ${text}: ${stderr}`)), reject);
      check();
    });
  return { child, waitFor, ended };
}

export const runCli = (args: readonly string[], options?: CliOptions): Promise<CliResult> =>
  startCli(args, options).ended;
