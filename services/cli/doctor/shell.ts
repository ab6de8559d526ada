import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Subject } from './probe.ts';

const TIMEOUT_MS = 20_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ShellResult {
  ok: boolean;
  stdout: string;
  /** Why it failed: the line of stderr that says "error", else the last one. */
  reason: string;
}

/** Runs a program with a fixed PATH and no input. Never throws: a program that is missing is a result. */
export function runProgram(argv: readonly string[], env: Record<string, string> = {}): Promise<ShellResult> {
  const [file = '', ...args] = argv;
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, env: { PATH, LC_ALL: 'C', ...env }, cwd: '/' };
    execFile(file, args, options, (error, stdout, stderr) => {
      const lines = stderr.trim().split('\n');
      const reason = lines.find((line) => /error/i.test(line)) || lines.at(-1) || (error?.message ?? '');
      resolve({ ok: error === null, stdout: stdout.trim(), reason });
    }).stdin?.end();
  });
}

/** A script as the subject; values come in as `$1`, `$2`, ... */
export function runScript(subject: Subject, wrapper: readonly string[], script: string, values: string[] = []) {
  return runProgram([...subject.prefix, ...wrapper, 'sh', '-euc', script, 'sh', ...values], {
    HOME: subject.home,
    ...(process.env['XDG_RUNTIME_DIR'] ? { XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'] } : {}),
  });
}

/** The text of a kernel file; null when it is not there or not for us. */
export async function readKernelFile(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return null;
  }
}
