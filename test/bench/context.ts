/** One platform at a time, and what is made once for all lines. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { removeFunctions } from './functions.ts';
import { openReference, type Reference } from './peers/reference.ts';
import type { BenchContext } from './types.ts';

export interface OpenContext extends BenchContext {
  /** Removes the bench's functions and everything else that was made. */
  close(): Promise<void>;
}

interface Options {
  quick: boolean;
  say: (text: string) => void;
}

export async function openContext({ quick, say }: Options): Promise<OpenContext> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-bench-'));
  let running: { key: string; wafer: TestPlatform } | undefined;
  let reference: Reference | undefined;
  const stopPlatform = async () => {
    const last = running;
    running = undefined;
    await last?.wafer.stop();
  };
  const platform = async (env: Record<string, string> = {}) => {
    const key = JSON.stringify(env);
    if (running?.key !== key) {
      await stopPlatform();
      running = { key, wafer: await startTestPlatform({ WAFER_LOG_LEVEL: 'error', ...env }) };
    }
    await removeFunctions(running.wafer);
    return running.wafer;
  };
  return {
    dir,
    say,
    platform,
    stopPlatform,
    count: (full, short) => (quick ? short : full),
    async reference() {
      reference ??= await openReference(running?.wafer ?? (await platform()), dir);
      return reference;
    },
    async close() {
      try {
        if (running !== undefined) await removeFunctions(running.wafer);
      } finally {
        await stopPlatform();
        await rm(dir, { recursive: true, force: true });
      }
    },
  };
}
