/** What layers hold, read from their tars (the host never walks into an unpacked one), and what they are together. */
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract } from 'tar-stream';
import { openSpool, type Spool } from '../../functions/source/spool.ts';
import type { Digest, ImageStore, LayerInfo } from '../types.ts';
import { createFileTree, type FileEntry, type FileTree, nameOf, parentOf } from './file-tree.ts';

type Header = (Extract extends AsyncIterable<infer T> ? T : never)['header'];

export interface LayerIndex {
  /** In the order of the tar. Hard links have the origin of the name that they link to. */
  entries: Map<string, FileEntry>;
  whiteouts: string[];
  opaque: string[];
  /** Small files that name users. */
  accounts: Map<string, string>;
}

const ACCOUNT_FILES = new Set(['etc/passwd', 'etc/group']);
const ACCOUNT_BYTES = 1024 * 1024;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

export const cleanName = (name: string): string =>
  name
    .replace(/^(?:\.?\/+)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');

export const seconds = (time: Date | undefined): number => Math.max(0, Math.floor((time?.getTime() ?? 0) / 1000));

export function xattrsOf(pax: unknown): Readonly<Record<string, string>> | undefined {
  const found = Object.entries((pax ?? {}) as Record<string, string>).filter(([key]) =>
    key.startsWith('SCHILY.xattr.'),
  );
  return found.length === 0 ? undefined : Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const KINDS: Record<string, FileEntry['kind']> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'dir',
  symlink: 'symlink',
};

function entryOf(header: Header, origin: FileEntry['origin']): FileEntry | null {
  const kind = KINDS[header.type ?? 'file'];
  if (kind === undefined) return null; // devices and the like are in no layer of ours
  const pax = xattrsOf(header.pax);
  return {
    kind,
    mode: (header.mode ?? 0) & 0o7777,
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    size: kind === 'file' ? (header.size ?? 0) : 0,
    mtime: seconds(header.mtime),
    ...(kind === 'symlink' ? { target: header.linkname ?? '' } : {}),
    ...(pax === undefined ? {} : { pax }),
    origin,
  };
}

/** Owns the stream. */
export async function readIndex(tar: Readable, layer: string): Promise<LayerIndex> {
  const index: LayerIndex = { entries: new Map(), whiteouts: [], opaque: [], accounts: new Map() };
  const parser = extract();
  const feeding = pipeline(tar, parser);
  feeding.catch(() => undefined);
  let at = -1;
  for await (const member of parser) {
    at += 1;
    const path = cleanName(member.header.name);
    const name = nameOf(path);
    if (name === OPAQUE) index.opaque.push(parentOf(path));
    else if (name.startsWith(WHITEOUT))
      index.whiteouts.push(`${path.slice(0, -name.length)}${name.slice(WHITEOUT.length)}`);
    else if (member.header.type === 'link') {
      const linked = index.entries.get(cleanName(member.header.linkname ?? ''));
      if (linked !== undefined) index.entries.set(path, linked);
    } else {
      const entry = entryOf(member.header, { layer, path, member: at });
      if (entry !== null) index.entries.set(path, entry);
      if (entry?.kind === 'file' && ACCOUNT_FILES.has(path) && entry.size <= ACCOUNT_BYTES) {
        index.accounts.set(path, (await buffer(member)).toString('utf8'));
        continue;
      }
    }
    member.resume();
  }
  await feeding;
  return index;
}

/** Reads a tar that is on its way into the store, so that it need not be read again. */
export interface IndexObserver {
  readonly stream: Writable;
  /** The tar was this layer. */
  keep(diffId: Digest): void;
}

function named(index: LayerIndex, layer: Digest): LayerIndex {
  for (const { origin } of index.entries.values()) origin.layer = layer;
  return index;
}

export interface LayerIndexes {
  of(diffId: Digest): Promise<LayerIndex>;
  observe(): IndexObserver;
  /** The layers as one file system, bottom first. */
  tree(layers: readonly LayerInfo[]): Promise<FileTree>;
  /** Text of `etc/passwd` or `etc/group` as the layers show it; '' when there is none. */
  account(layers: readonly LayerInfo[], path: string): Promise<string>;
}

/** An index of a big base image is a few MB: a handful is kept. */
const KEPT = 24;

export function createLayerIndexes(images: Pick<ImageStore, 'exportLayer'>): LayerIndexes {
  const kept = new Map<Digest, Promise<LayerIndex>>();
  const keep = (diffId: Digest, index: Promise<LayerIndex>): Promise<LayerIndex> => {
    kept.delete(diffId);
    kept.set(diffId, index);
    index.catch(() => kept.delete(diffId));
    const oldest = kept.keys().next().value;
    if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
    return index;
  };
  const of = (diffId: Digest): Promise<LayerIndex> =>
    keep(diffId, kept.get(diffId) ?? images.exportLayer(diffId).then((tar) => readIndex(tar, diffId)));
  return {
    of,
    observe() {
      const stream = new PassThrough();
      const index = readIndex(stream, '');
      index.catch(() => undefined); // the tar broke off: then there is no layer either
      return {
        stream,
        keep: (diffId) =>
          void keep(
            diffId,
            index.then((found) => named(found, diffId)),
          ),
      };
    },
    async tree(layers) {
      const tree = createFileTree();
      for (const { diffId } of layers) applyLayer(tree, await of(diffId));
      return tree;
    },
    async account(layers, path) {
      for (const { diffId } of [...layers].reverse()) {
        const index = await of(diffId);
        const text = index.accounts.get(path);
        if (text !== undefined) return text;
        if (index.whiteouts.includes(path) || index.opaque.includes(parentOf(path))) return '';
      }
      return '';
    },
  };
}

/** Whiteouts are about the layers below, wherever they stand in the tar. */
export function applyLayer(tree: FileTree, index: LayerIndex): void {
  for (const path of index.whiteouts) tree.remove(path);
  for (const path of index.opaque) tree.clear(path);
  for (const [path, entry] of index.entries) tree.set(path, entry);
}

export interface LayerContents {
  /** Makes the bytes of these files readable: one pass over each layer that has some. */
  load(files: readonly FileEntry[]): Promise<void>;
  open(file: FileEntry): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

const keyOf = ({ origin }: FileEntry) => `${origin.layer} ${origin.member}`;

export async function openLayerContents(
  images: Pick<ImageStore, 'exportLayer'>,
  tmpDir: string,
): Promise<LayerContents> {
  const spool: Spool = await openSpool(tmpDir);
  const places = new Map<string, { offset: number; size: number }>();
  const takeFrom = async (layer: string, members: Set<number>) => {
    const tar = await images.exportLayer(layer);
    const parser = extract();
    pipeline(tar, parser).catch(() => undefined);
    let at = -1;
    for await (const member of parser) {
      at += 1;
      if (!members.has(at)) {
        member.resume();
        continue;
      }
      const offset = spool.size;
      for await (const chunk of member) await spool.append(chunk as Buffer);
      places.set(`${layer} ${at}`, { offset, size: spool.size - offset });
      members.delete(at);
      if (members.size === 0) break; // the rest of the layer is of no use
    }
    tar.destroy();
  };
  return {
    async load(files) {
      const wanted = new Map<string, Set<number>>();
      for (const file of files) {
        if (file.kind !== 'file' || places.has(keyOf(file))) continue;
        const { layer, member } = file.origin;
        if (member !== undefined) wanted.set(layer, (wanted.get(layer) ?? new Set()).add(member));
      }
      for (const [layer, members] of wanted) await takeFrom(layer, members);
    },
    open(file) {
      const place = places.get(keyOf(file));
      if (place === undefined) throw new Error(`${file.origin.path} of ${file.origin.layer} was not loaded`);
      return spool.read(place.offset, place.size);
    },
    close: () => spool.close(),
  };
}
