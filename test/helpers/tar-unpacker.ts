/**
 * A LayerUnpacker that runs `tar` as the test's own user. Only for tests of the store: it has
 * no jail and no ids; sandbox tests use the engine.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { exists } from '../../services/core/images/layout.ts';
import type { LayerUnpacker } from '../../services/core/images/types.ts';

async function runTar(dir: string, stream: NodeJS.ReadableStream): Promise<void> {
  const tar = spawn('tar', ['-x', '-p', '--no-same-owner', '-C', dir], { stdio: ['pipe', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  tar.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const closed = once(tar, 'close');
  const fed = await pipeline(stream, tar.stdin).then(
    () => null,
    (error: Error) => error,
  );
  const [status] = await closed;
  // When tar gives up, feeding it fails too: its own words are the cause.
  const words = Buffer.concat(errors).toString().trim();
  // What tar says for a short write, which is how a full disk shows first.
  if (/Wrote only \d+ of/.test(words)) throw new Error(`No space left on device (${words})`);
  if (status !== 0 && words !== '') throw new Error(words);
  if (fed !== null) throw fed;
}

export function createTarUnpacker(layersDir: string): LayerUnpacker {
  return {
    async unpack(name, stream) {
      const final = join(layersDir, name);
      if (await exists(final)) {
        stream.resume();
        return { entries: 0, bytes: 0 };
      }
      await mkdir(layersDir, { recursive: true });
      const temp = await mkdtemp(join(layersDir, 'tmp-'));
      try {
        await runTar(temp, stream);
        await rename(temp, final);
      } catch (error) {
        await rm(temp, { recursive: true, force: true });
        throw error;
      }
      const names = await readdir(final, { recursive: true });
      return { entries: names.length, bytes: 0 };
    },
    async remove(name) {
      await rm(join(layersDir, name), { recursive: true, force: true });
    },
  };
}
