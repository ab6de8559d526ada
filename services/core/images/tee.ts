/** One source, several readers, at the pace of the slowest. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** A branch that was destroyed gets nothing more; ending the others is left to them. */
async function give(chunk: Buffer, branch: Writable): Promise<void> {
  if (branch.destroyed || branch.write(chunk)) return;
  const gone = new AbortController();
  const stop = () => gone.abort();
  branch.once('close', stop);
  await once(branch, 'drain', { signal: gone.signal }).catch(() => undefined);
  branch.off('close', stop);
}

/** What the source says, while the branches get the same. They end with it; when it breaks off, so do they. */
export async function* tee(source: Readable, branches: readonly Writable[]): AsyncGenerator<Buffer> {
  let isWhole = false;
  for (const branch of branches) branch.on('error', () => undefined);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      await Promise.all(branches.map((branch) => give(chunk, branch)));
      yield chunk;
    }
    isWhole = true;
  } finally {
    for (const branch of branches) {
      if (isWhole && !branch.destroyed) branch.end();
      else branch.destroy(new Error('the source broke off'));
    }
  }
}
