/** Programs with no environment but PATH, started and timed by a small C program. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** What a program that nobody configured sees. */
export const CLEAN_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

export interface Launched {
  /** From the fork to the exit, of each. */
  ms: number[];
  /** User and system time of each and of its children. */
  cpuMs: number[];
  /** From the first fork to the last exit. */
  allMs: number;
}

/** @throws when the program fails */
export type Launch = (
  argv: string[],
  options?: { count?: number; parallel?: number; env?: Record<string, string> },
) => Promise<Launched>;

/** The C program is built in that directory. */
export async function openLauncher(dir: string): Promise<Launch> {
  const launcher = join(dir, 'launch');
  await exec('gcc', ['-O2', '-static', '-o', launcher, join(import.meta.dirname, 'launch.c')]);
  return async (argv, { count = 1, parallel = 1, env = CLEAN_ENV } = {}) => {
    const { stdout } = await exec(launcher, [String(count), String(parallel), ...argv], {
      env,
      maxBuffer: 16 * 1024 * 1024,
    });
    return JSON.parse(stdout) as Launched;
  };
}
