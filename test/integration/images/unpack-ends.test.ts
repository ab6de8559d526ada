/** Unpacking ends when its caller goes or its time is over, and leaves nothing: not in the store, and not for the next one to wait for. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openImageStore } from '../../../services/core/images/index.ts';
import type { ImageStore, LayerUnpacker } from '../../../services/core/images/types.ts';
import { makeTar, streamOf } from '../../helpers/make-tar.ts';
import { makeImage } from '../../helpers/oci-layout.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

let dir: string;
let store: ImageStore;
let isStuck: boolean;
let begun: () => void;

/** Like an engine on a disk that has stopped: it goes on only when it is told to end. */
const slow = (real: LayerUnpacker): LayerUnpacker => ({
  ...real,
  unpack: (name, tar, signal) => {
    if (!isStuck) return real.unpack(name, tar, signal);
    setImmediate(begun);
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => {
        tar.destroy();
        reject(signal.reason);
      });
    });
  },
});

async function open(limits: { unpackMs?: number }): Promise<void> {
  const unpacker = slow(createTarUnpacker(join(dir, 'layers')));
  store = await openImageStore({ dir, unpacker, log: { warn: () => undefined, info: () => undefined }, ...limits });
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-unpack-'));
  isStuck = true;
  begun = () => {};
  await open({});
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const everything = () => ['layers', 'meta', 'tmp'].flatMap((below) => readdirSync(join(dir, below)));

const importing = (signal: AbortSignal) => {
  const made = makeImage([{ a: 'a'.repeat(10_000) }]);
  return store.importImage({
    manifest: made.manifest,
    config: made.config,
    tags: ['app:1'],
    signal,
    fetch: async ({ digest }, sink) => sink.append(made.blobs.get(digest)!),
  });
};

describe('a layer that is being unpacked', () => {
  it('is given up with the pull that brings it, and comes with the next one', async () => {
    const stop = new AbortController();
    begun = () => stop.abort(new Error('the caller went away'));
    await expect(importing(stop.signal)).rejects.toThrow('the caller went away');
    expect([everything(), await store.list()]).toEqual([[], []]);
    isStuck = false;
    expect((await importing(new AbortController().signal)).tags).toEqual(['app:1']);
  });

  it('is given up with the one who adds it', async () => {
    const stop = new AbortController();
    begun = () => stop.abort(new Error('the caller went away'));
    const tar = streamOf(makeTar({ b: 'b'.repeat(10_000) }));
    await expect(store.addLayer(tar, { createdBy: 'x', signal: stop.signal })).rejects.toThrow('the caller went away');
    expect([everything(), tar.destroyed]).toEqual([[], true]);
  });

  it('I10: has a time, after which it is refused', async () => {
    await open({ unpackMs: 150 });
    await expect(importing(new AbortController().signal)).rejects.toMatchObject({
      code: 'invalid_image',
      message: expect.stringContaining('was not unpacked in 0.15 s'),
    });
    expect([everything(), await store.list()]).toEqual([[], []]);
  });
});
