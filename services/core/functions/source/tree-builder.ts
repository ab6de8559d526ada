/**
 * Collects the entries of one archive and decides what the tree is. The order of
 * entries never matters: a path is taken once, by one kind, and nothing lies below a
 * file or a link. Names that a case-blind or Unicode-normalising file system would
 * merge are refused, so the tree means the same everywhere.
 */
import { parseEntryName } from './entry-name.ts';
import { isJunk } from './junk.ts';
import type { SourceLimits } from './limits.ts';
import { assertLinksStayInside } from './links.ts';
import { refuseEntry, show, tooLarge } from './refuse.ts';
import type { SourceNode } from './types.ts';

interface NewFile {
  executable: boolean;
  /** Counts in a build context only. */
  mode?: number;
  size: number;
  offset: number;
}

export interface TreePolicy {
  keepNodeModules: boolean;
  /** See `SourceOptions.context`. */
  context: boolean;
}

export interface TreeBuilder {
  /** Counts the entry and checks its name; null when its content is to be skipped (junk, the top folder). */
  name(raw: string): string[] | null;
  addDir(components: string[], mode?: number): void;
  addFile(components: string[], file: NewFile): void;
  addSymlink(components: string[], target: string): void;
  /** Sorted by path, parents first. Strips the only top-level folder when `stripTop`. */
  finish(stripTop: boolean): SourceNode[];
}

/** Equal for names that some file system takes for the same one (`ß` and `SS`, NFC and NFD). */
export function collisionKey(path: string): string {
  return path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');
}

const dirNode = (path: string, mode = 0o755): SourceNode => ({ path, kind: 'dir', mode, size: 0, offset: 0 });

function assertTarget(path: string, target: string, limits: SourceLimits, context: boolean): void {
  if (target === '') throw refuseEntry(path, 'its link target is empty');
  if (Buffer.byteLength(target) > limits.pathBytes) throw refuseEntry(path, 'its link target is too long');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
  if (/[\u0000-\u001f\u007f\ufffd]/.test(target)) throw refuseEntry(path, 'its link target holds a control character');
  if (!context && target.startsWith('/')) throw refuseEntry(path, `its link target ${show(target)} is absolute`);
}

/** `a/...` only, `a` a folder: every path loses `a/`. */
function stripTopFolder(nodes: Map<string, SourceNode>): Map<string, SourceNode> {
  const top = [...nodes.values()].filter((node) => !node.path.includes('/'));
  const only = top[0];
  if (top.length !== 1 || only?.kind !== 'dir') return nodes;
  const skip = only.path.length + 1;
  const below = [...nodes.values()].filter((node) => node !== only);
  return new Map(below.map((node) => [node.path.slice(skip), { ...node, path: node.path.slice(skip) }]));
}

export function createTreeBuilder(limits: SourceLimits, { keepNodeModules, context }: TreePolicy): TreeBuilder {
  const nodes = new Map<string, SourceNode>();
  const explicitDirs = new Set<string>();
  const spellings = new Map<string, string>();
  let count = 0;

  const claimSpelling = (path: string) => {
    if (context) return;
    const key = collisionKey(path);
    const other = spellings.get(key);
    if (other !== undefined && other !== path) {
      throw refuseEntry(path, `it differs from ${show(other)} only in case or Unicode form`);
    }
    spellings.set(key, path);
  };

  const ensureParents = (components: string[], path: string) => {
    for (let depth = 1; depth < components.length; depth++) {
      const parent = components.slice(0, depth).join('/');
      const node = nodes.get(parent);
      if (node?.kind === 'dir') continue;
      if (node !== undefined) {
        throw refuseEntry(path, `it lies below ${show(parent)}, which is a ${node.kind === 'file' ? 'file' : 'link'}`);
      }
      put(parent, dirNode(parent));
    }
  };

  // Also for folders that only exist because something lies in them: they cost memory and inodes too.
  const put = (path: string, node: SourceNode) => {
    if (nodes.size >= limits.entries) throw tooLarge(`it makes more than ${limits.entries} files and folders`);
    claimSpelling(path);
    nodes.set(path, node);
  };

  const add = (components: string[], make: (path: string) => SourceNode) => {
    const path = components.join('/');
    ensureParents(components, path);
    if (nodes.has(path)) throw refuseEntry(path, 'the archive holds it twice');
    put(path, make(path));
  };

  return {
    name(raw) {
      count += 1;
      if (count > limits.entries) throw tooLarge(`it has more than ${limits.entries} entries`);
      const components = parseEntryName(raw, limits);
      return components.length === 0 || (!context && isJunk(components, keepNodeModules)) ? null : components;
    },
    addDir(components, mode) {
      const path = components.join('/');
      if (explicitDirs.has(path)) throw refuseEntry(path, 'the archive holds it twice');
      explicitDirs.add(path);
      const bits = context ? mode : undefined;
      if (nodes.get(path)?.kind === 'dir') nodes.set(path, dirNode(path, bits));
      else add(components, () => dirNode(path, bits));
    },
    addFile(components, { executable, mode, size, offset }) {
      const bits = context ? mode : undefined;
      add(components, (path) => ({ path, kind: 'file', mode: bits ?? (executable ? 0o755 : 0o644), size, offset }));
    },
    addSymlink(components, target) {
      assertTarget(components.join('/'), target, limits, context);
      add(components, (path) => ({ path, kind: 'symlink', mode: 0o777, size: 0, offset: 0, target }));
    },
    finish(stripTop) {
      const tree = stripTop && !context ? stripTopFolder(nodes) : nodes;
      if (!context) assertLinksStayInside(tree);
      return [...tree.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    },
  };
}
