/**
 * A layer that COPY, ADD or WORKDIR makes: entries placed over the file system below it. Folders that
 * exist keep their modes and owners, and are written with them, since in a stack of layers the
 * uppermost says what a folder is.
 */
import { Readable } from 'node:stream';
import { type TarEntry, tarEnd, tarFile, tarHeader } from '../../functions/source/tar-writer.ts';
import { type FileEntry, type FileTree, nameOf, partsOf } from './file-tree.ts';

/** The caller knows the instruction. */
export class DraftError extends Error {
  override readonly name = 'DraftError';
}

export interface NewEntry {
  kind: 'file' | 'dir' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  target?: string;
  pax?: Readonly<Record<string, string>>;
  open?: () => AsyncIterable<Buffer>;
  /** Equal ones become hard links of each other. */
  identity?: string;
}

export interface LayerDraft {
  /** Links followed; @throws DraftError for a loop */
  resolve(path: string): string;
  get(path: string): FileEntry | undefined;
  /** Makes the folder and those above it, unless they exist. */
  folder(path: string): void;
  /** `path` must have been resolved up to its last name. A folder that exists keeps its attributes. */
  put(path: string, entry: NewEntry): void;
  /** What the layers below have in the folder is not to be seen. For layers of ours only. */
  hideBelow(path: string): void;
  readonly isEmpty: boolean;
  toTar(): Readable;
}

const DIR = 'dir';
const asFile = (entry: NewEntry, path: string): FileEntry => {
  const { open: _open, identity: _identity, ...attributes } = entry;
  return { ...attributes, origin: { layer: 'draft', path } };
};

function assertName(path: string): void {
  if (nameOf(path).startsWith('.wh.'))
    throw new DraftError(
      `the name ${JSON.stringify(nameOf(path).slice(0, 64))} would be read as "this file is deleted"`,
    );
}

/** `tree` is changed: it is the file system with the layer on top afterwards. */
export function createLayerDraft(tree: FileTree, made: Pick<NewEntry, 'uid' | 'gid' | 'mtime'>): LayerDraft {
  const items = new Map<string, NewEntry>();

  const parents = (path: string) => {
    const parts = partsOf(path).slice(0, -1);
    for (const index of parts.keys()) one(parts.slice(0, index + 1).join('/'));
  };
  const one = (path: string) => {
    const known = tree.get(path);
    if (known !== undefined && known.kind !== DIR)
      throw new DraftError(`/${path} is a ${known.kind === 'file' ? 'file' : 'link'}, not a folder`);
    if (items.has(path)) return;
    const entry: NewEntry = known ?? { kind: DIR, mode: 0o755, size: 0, ...made };
    items.set(path, entry);
    if (known === undefined) tree.set(path, asFile(entry, path));
  };

  return {
    resolve(path) {
      const real = tree.resolve(path);
      if (real === null) throw new DraftError(`/${path} leads through a loop of links`);
      return real;
    },
    get: (path) => tree.get(path),
    folder(path) {
      if (path === '') return;
      parents(path);
      one(path);
    },
    put(path, entry) {
      assertName(path);
      const before = tree.get(path);
      if (entry.kind === DIR && before?.kind === DIR) {
        parents(path);
        return one(path);
      }
      if (before !== undefined && (before.kind === DIR || entry.kind === DIR))
        throw new DraftError(
          `/${path} is a ${before.kind === DIR ? 'folder' : 'file'} already, and can not become a ${entry.kind === DIR ? 'folder' : 'file'}`,
        );
      parents(path);
      items.set(path, entry);
      tree.set(path, asFile(entry, path));
    },
    hideBelow(path) {
      tree.clear(path);
      items.set(`${path}/.wh..wh..opq`, { kind: 'file', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 });
    },
    get isEmpty() {
      return items.size === 0;
    },
    toTar: () => Readable.from(tarOf(items), { objectMode: false }),
  };
}

async function* tarOf(items: Map<string, NewEntry>): AsyncGenerator<Buffer> {
  const first = new Map<string, string>();
  const sorted = [...items].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, item] of sorted) {
    const { open, identity, ...attributes } = item;
    const entry: TarEntry = { ...attributes, path };
    const known = identity === undefined ? undefined : first.get(identity);
    if (entry.kind === 'file' && known !== undefined)
      yield tarHeader({ ...entry, kind: 'link', target: known, size: 0 });
    else if (entry.kind === 'file') {
      if (identity !== undefined) first.set(identity, path);
      yield* tarFile(entry, open?.() ?? nothing());
    } else yield tarHeader(entry);
  }
  yield tarEnd();
}

async function* nothing(): AsyncGenerator<Buffer> {}
