/**
 * A file system as names and attributes only: of a build context, of one layer, or of layers one
 * over the other. It answers what COPY has to know (what is there, where a link leads) without
 * any file of a layer on the host. Paths have no slash at either end; '' is the root.
 */

export interface FileEntry {
  kind: 'file' | 'dir' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  size: number;
  /** Seconds. */
  mtime: number;
  /** Of a symlink, as it stands. */
  target?: string;
  /** Extended attributes as PAX records. */
  pax?: Readonly<Record<string, string>>;
  /** Where the bytes are: a layer (or 'context'), and the name there. Equal origins are one file with many names. */
  origin: {
    layer: string;
    path: string;
    /** Place of the entry in the layer's tar, from 0: a name may be there twice. */
    member?: number;
  };
}

interface Node {
  entry: FileEntry;
  children: Map<string, Node>;
}

export interface FileTree {
  get(path: string): FileEntry | undefined;
  /** Names, sorted; none for what is no folder. */
  children(path: string): string[];
  /** Parents that are not there become folders; what is no folder on the way is replaced. A folder keeps what is in it. */
  set(path: string, entry: FileEntry): void;
  remove(path: string): void;
  /** Everything in the folder, not itself. */
  clear(path: string): void;
  /**
   * The path with every link on its way followed, never out of the root, as a kernel would inside
   * of it. What is not there stays in the path. Null for a loop.
   */
  resolve(path: string, options?: { last?: boolean }): string | null;
}

const MAX_HOPS = 40;
export const FOLDER: FileEntry = {
  kind: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  origin: { layer: '', path: '' },
};

export const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
export const joined = (...parts: string[]): string => parts.filter((part) => part !== '').join('/');
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export function createFileTree(): FileTree {
  const root: Node = { entry: FOLDER, children: new Map() };
  const find = (path: string): Node | undefined => {
    let node: Node | undefined = root;
    for (const part of partsOf(path)) node = node?.children.get(part);
    return node;
  };

  const set = (path: string, entry: FileEntry) => {
    let node = root;
    const parts = partsOf(path);
    const last = parts.pop();
    for (const part of parts) {
      let next = node.children.get(part);
      if (next === undefined || next.entry.kind !== 'dir') next = { entry: FOLDER, children: new Map() };
      node.children.set(part, next);
      node = next;
    }
    if (last === undefined) {
      root.entry = entry;
      return;
    }
    const before = node.children.get(last);
    const keeps = entry.kind === 'dir' && before?.entry.kind === 'dir';
    node.children.set(last, { entry, children: keeps ? before.children : new Map() });
  };

  const resolve = (path: string, { last = true } = {}): string | null => {
    const pending = path.split('/').reverse();
    const place: string[] = [];
    let hops = 0;
    while (pending.length > 0) {
      const part = pending.pop();
      if (part === undefined || part === '' || part === '.') continue;
      if (part === '..') {
        place.pop();
        continue;
      }
      const entry = find([...place, part].join('/'))?.entry;
      const isLast = pending.every((one) => one === '' || one === '.');
      if (entry?.kind !== 'symlink' || (isLast && !last)) {
        place.push(part);
        continue;
      }
      hops += 1;
      if (hops > MAX_HOPS) return null;
      const target = entry.target ?? '';
      if (target.startsWith('/')) place.length = 0;
      pending.push(...target.split('/').reverse());
    }
    return place.join('/');
  };

  return {
    get: (path) => find(path)?.entry,
    children: (path) => [...(find(path)?.children.keys() ?? [])].sort(),
    set,
    remove: (path) => void find(parentOf(path))?.children.delete(nameOf(path)),
    clear: (path) => find(path)?.children.clear(),
    resolve,
  };
}

/** Depth first, parents before children, siblings by name; `path` itself first. */
export function* walkTree(tree: FileTree, path: string): Generator<{ path: string; entry: FileEntry }> {
  const entry = tree.get(path);
  if (entry === undefined) return;
  yield { path, entry };
  for (const name of tree.children(path)) yield* walkTree(tree, joined(path, name));
}
