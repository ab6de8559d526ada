/**
 * Garbage collection. It holds the structure lock, so no image or layer appears, and no
 * lookup that keeps a layer happens, while it runs; leases may still be taken, and each
 * thing is checked again right before it goes. Order: manifests, then configs, then layer
 * records and directories, then layer blobs. A crash in between leaves things that
 * nothing refers to, never an image that lacks a layer.
 */
import { WaferError } from '../errors.ts';
import type { Blobs } from './blobs.ts';
import { hexOf } from './digest.ts';
import { keptBy, type Records } from './distribution/records.ts';
import type { TempFiles } from './durable.ts';
import type { Holds } from './holds.ts';
import { readConfig, readManifest } from './images.ts';
import type { LayerDisk } from './layer-disk.ts';
import type { Digest, LayerUnpacker } from './types.ts';

export interface Collected {
  images: number;
  layers: number;
  bytes: number;
}

interface CollectDeps {
  blobs: Blobs;
  disk: LayerDisk;
  holds: Holds;
  temp: TempFiles;
  records: Records;
  unpacker: LayerUnpacker;
  /** Manifest digests of index.json. */
  indexed: Digest[];
  onImageRemoved: (digest: Digest) => void;
}

interface Live {
  blobs: Set<Digest>;
  diffIds: Set<Digest>;
}

/** What the image needs. @throws WaferError `digest_mismatch` when it can not be read: then nothing may be removed */
async function addImage(blobs: Blobs, live: Live, digest: Digest, isIndexed: boolean): Promise<void> {
  const manifest = await readManifest(blobs, digest);
  if (manifest === null && isIndexed) {
    throw new WaferError('digest_mismatch', `Image ${digest} of index.json can not be read; nothing was collected.`, {
      hint: 'Remove its tag, or deploy again.',
    });
  }
  if (manifest === null) return;
  for (const needed of [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]) {
    live.blobs.add(needed);
  }
  const config = await readConfig(blobs, manifest).catch((error: unknown) => {
    // What was only pushed may have any config; it has no unpacked layers then.
    if (isIndexed || !(error instanceof WaferError && error.code === 'digest_mismatch')) throw error;
    return null;
  });
  for (const diffId of config?.rootfs.diff_ids ?? []) live.diffIds.add(diffId);
}

/** What was pushed, whether or not it has a name. */
async function addPushed({ blobs, records }: CollectDeps, live: Live): Promise<void> {
  const [damaged] = records.damaged();
  if (damaged !== undefined) {
    throw new WaferError('digest_mismatch', `${damaged} is damaged; nothing was collected.`, {
      hint: 'Remove that file: what was pushed into its repository and has no name may be lost.',
    });
  }
  for (const record of records.all()) {
    const kept = keptBy(record);
    for (const digest of kept.manifests) await addImage(blobs, live, digest, false);
    for (const digest of kept.blobs) live.blobs.add(digest);
  }
}

async function findLive(deps: CollectDeps): Promise<Live> {
  const { blobs, disk, holds, indexed } = deps;
  const live: Live = { blobs: new Set(), diffIds: new Set() };
  const held = holds.all();
  for (const digest of indexed) await addImage(blobs, live, digest, true);
  for (const digest of held) await addImage(blobs, live, digest, false);
  await addPushed(deps, live);
  for (const digest of [...held, ...live.diffIds]) {
    live.blobs.add(digest);
    live.diffIds.add(digest);
    const info = await disk.get(digest);
    if (info !== null) live.blobs.add(info.blob.digest);
  }
  return live;
}

interface Garbage {
  digest: Digest;
  size: number;
  kind: 'image' | 'blob';
}

async function findGarbage(blobs: Blobs, live: Live): Promise<Garbage[]> {
  const garbage: Garbage[] = [];
  for (const { digest, size } of await blobs.list()) {
    if (live.blobs.has(digest)) continue;
    const isImage = (await readManifest(blobs, digest).catch(() => null)) !== null;
    garbage.push({ digest, size, kind: isImage ? 'image' : 'blob' });
  }
  return garbage;
}

async function removeImages(deps: CollectDeps, garbage: Garbage[], done: Collected): Promise<void> {
  for (const { digest, size, kind } of garbage) {
    if (kind !== 'image' || deps.holds.has(digest)) continue;
    // No wait between the check and this: a lease taken later finds no image.
    const removing = deps.blobs.remove(digest);
    deps.onImageRemoved(digest);
    await removing;
    done.images += 1;
    done.bytes += size;
  }
}

async function removeLayers(deps: CollectDeps, live: Live, done: Collected): Promise<void> {
  const { recorded, names } = await deps.disk.list();
  const unpacked = names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((name) => `sha256:${name}`);
  for (const diffId of new Set([...recorded, ...unpacked])) {
    if (live.diffIds.has(diffId) || deps.holds.has(diffId)) continue;
    await deps.disk.remove(hexOf(diffId));
    done.layers += 1;
  }
  for (const name of names.filter((one) => one.startsWith('tmp-'))) {
    if (deps.disk.unpacking() === 0) await deps.unpacker.remove(name);
  }
}

export async function collect(deps: CollectDeps): Promise<Collected> {
  const done: Collected = { images: 0, layers: 0, bytes: 0 };
  await removeImages(deps, await findGarbage(deps.blobs, await findLive(deps)), done);
  // Again: a lease taken meanwhile may have kept an image, and so its layers.
  const live = await findLive(deps);
  const rest = (await findGarbage(deps.blobs, live)).filter(({ kind }) => kind === 'blob');
  await removeLayers(deps, live, done);
  for (const { digest, size } of rest) {
    if (deps.holds.has(digest)) continue;
    await deps.blobs.remove(digest);
    done.bytes += size;
  }
  await deps.temp.clean();
  return done;
}
