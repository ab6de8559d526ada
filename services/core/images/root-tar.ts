/**
 * An image's root file system as one tar: what a sandbox of it would see, read from the layers' tars, so that
 * owners, links and attributes are those of the layers, and no file of a layer is touched on the host.
 * Folders come first, then links, then files in the order of their layers: each layer is read once.
 */
import { type Readable, Readable as Stream } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { type TarEntry, tarEnd, tarFile, tarHeader } from '../functions/source/tar-writer.ts';
import { type FileEntry, type FileTree, walkTree } from './dockerfile/file-tree.ts';
import type { LayerIndexes } from './dockerfile/layer-index.ts';
import type { Digest, Image, ImageStore } from './types.ts';

interface Plan {
  folders: TarEntry[];
  links: TarEntry[];
  /** Layer -> ordinal of the member -> the names that it has. */
  files: Map<Digest, Map<number, { entry: FileEntry; names: string[] }>>;
}

/** What a ustar header can not hold goes into PAX records. */
const OCTAL_ID = 0o7777777;
const OCTAL_SIZE = 0o77777777777;

function toEntry(path: string, entry: FileEntry): TarEntry {
  const { kind, mode, uid, gid, size, mtime, target, pax = {} } = entry;
  const large = Object.entries({ uid, gid })
    .filter(([, id]) => id > OCTAL_ID)
    .map(([key, id]) => [key, String(id)] as const);
  const records = [...large, ...(size > OCTAL_SIZE ? [['size', String(size)] as const] : []), ...Object.entries(pax)];
  return {
    kind,
    path: path === '' ? '.' : path,
    mode,
    uid: Math.min(uid, OCTAL_ID),
    gid: Math.min(gid, OCTAL_ID),
    size,
    mtime,
    ...(target === undefined ? {} : { target }),
    ...(records.length === 0 ? {} : { pax: Object.fromEntries(records) }),
  };
}

function planOf(tree: FileTree): Plan {
  const plan: Plan = { folders: [], links: [], files: new Map() };
  for (const { path, entry } of walkTree(tree, '')) {
    const { layer, member } = entry.origin;
    if (entry.kind === 'dir') {
      if (path !== '' || layer !== '') plan.folders.push(toEntry(path, entry));
    } else if (entry.kind === 'symlink') plan.links.push(toEntry(path, entry));
    else {
      const ofLayer = plan.files.get(layer) ?? new Map<number, { entry: FileEntry; names: string[] }>();
      plan.files.set(layer, ofLayer);
      const known = ofLayer.get(member ?? -1);
      if (known === undefined) ofLayer.set(member ?? -1, { entry, names: [path] });
      else known.names.push(path);
    }
  }
  return plan;
}

async function* filesOf(tar: Readable, wanted: Plan['files'] extends Map<Digest, infer T> ? T : never) {
  const parser = extract();
  const feeding = pipeline(tar, parser);
  feeding.catch(() => undefined);
  let at = 0;
  try {
    for await (const member of parser) {
      const found = wanted.get(at);
      at += 1;
      if (found === undefined) {
        member.resume();
        continue;
      }
      const [first = '', ...others] = found.names;
      yield* tarFile(toEntry(first, found.entry), member as unknown as AsyncIterable<Buffer>);
      for (const name of others)
        yield tarHeader({ ...toEntry(name, found.entry), kind: 'link', target: first, size: 0 });
    }
    await feeding;
  } finally {
    tar.destroy();
  }
}

/** The tree as one tar; `layers` has the tars that its entries came from. */
export const rootTarOf = (layers: Pick<ImageStore, 'exportLayer'>, tree: FileTree): Readable =>
  Stream.from(bytesOf(layers, planOf(tree)), { objectMode: false });

async function* bytesOf(store: Pick<ImageStore, 'exportLayer'>, plan: Plan): AsyncGenerator<Buffer> {
  for (const entry of [...plan.folders, ...plan.links]) yield tarHeader(entry);
  for (const [layer, wanted] of plan.files) yield* filesOf(await store.exportLayer(layer), wanted);
  yield tarEnd();
}

/** The image is held until the stream is closed. */
export async function openRootTar(
  store: Pick<ImageStore, 'exportLayer' | 'lease'>,
  indexes: LayerIndexes,
  image: Image,
): Promise<Readable> {
  const lease = store.lease([image.digest]);
  try {
    const stream = rootTarOf(store, await indexes.tree(image.layers));
    stream.once('close', () => lease.release());
    return stream;
  } catch (error) {
    lease.release();
    throw error;
  }
}
