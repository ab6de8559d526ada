/**
 * Where things lie:
 *
 *   oci-layout  index.json      what any OCI tool reads
 *   blobs/sha256/<hex>          manifests, configs, compressed layers
 *   layers/<hex of diff id>/    unpacked layers; only the engine goes inside
 *   meta/<hex of diff id>.json  LayerInfo; written last, so it says "this layer is whole"
 *   repositories/<hex>.json     what was pushed into each repository; see distribution/records.ts
 *   uploads/                    blobs that clients are sending
 *   tmp/                        files being written; emptied at start
 */
import { access, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, WaferError } from '../errors.ts';
import { isDigest } from './digest.ts';
import type { TempFiles } from './durable.ts';
import { type Descriptor, MEDIA } from './types.ts';

export const REF_NAME = 'org.opencontainers.image.ref.name';

export interface Layout {
  root: string;
  blobs: string;
  layers: string;
  meta: string;
  tmp: string;
  repositories: string;
  uploads: string;
  index: string;
}

export function layoutOf(dir: string): Layout {
  return {
    root: dir,
    blobs: join(dir, 'blobs', 'sha256'),
    layers: join(dir, 'layers'),
    meta: join(dir, 'meta'),
    tmp: join(dir, 'tmp'),
    repositories: join(dir, 'repositories'),
    uploads: join(dir, 'uploads'),
    index: join(dir, 'index.json'),
  };
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
      throw error;
    },
  );
}

/** Makes what is missing; an existing `layers/` keeps the mode the engine gave it. */
export async function makeLayout(layout: Layout): Promise<void> {
  const { root, blobs, layers, meta, tmp, repositories, uploads } = layout;
  for (const dir of [root, blobs, layers, meta, tmp, repositories, uploads]) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  }
}

export async function writeLayoutFiles(layout: Layout, temp: TempFiles): Promise<void> {
  const marker = join(layout.root, 'oci-layout');
  if (!(await exists(layout.index))) await writeIndex(layout, temp, []);
  if (!(await exists(marker))) await temp.writeWhole(marker, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
}

function isDescriptor(value: unknown): value is Descriptor {
  if (typeof value !== 'object' || value === null) return false;
  const { mediaType, digest, size, annotations } = value as Record<string, unknown>;
  return (
    typeof mediaType === 'string' &&
    isDigest(digest) &&
    Number.isSafeInteger(size) &&
    (annotations === undefined || (typeof annotations === 'object' && annotations !== null))
  );
}

/** @throws WaferError `digest_mismatch` when index.json is damaged: guessing would let garbage collection take everything */
export async function readIndex(layout: Layout): Promise<Descriptor[]> {
  const text = await readFile(layout.index, 'utf8');
  try {
    const { manifests } = JSON.parse(text) as { manifests: unknown };
    if (Array.isArray(manifests) && manifests.every(isDescriptor)) return manifests;
  } catch {
    // Not JSON: the same as a wrong shape.
  }
  throw new WaferError('digest_mismatch', `${layout.index} is damaged: it is not an OCI image index.`, {
    hint: 'Restore it from a backup, or move the store away and deploy again.',
  });
}

export async function writeIndex(layout: Layout, temp: TempFiles, manifests: Descriptor[]): Promise<void> {
  const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
  await temp.writeWhole(layout.index, `${JSON.stringify(index, null, 2)}\n`);
}

/** Names directly in a directory, with their sizes. */
export async function listFiles(dir: string): Promise<{ name: string; size: number }[]> {
  const names = (await readdir(dir)).sort();
  return Promise.all(names.map(async (name) => ({ name, size: (await stat(join(dir, name))).size })));
}
