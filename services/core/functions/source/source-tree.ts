import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { WaferError } from '../../errors.ts';
import { show } from './refuse.ts';
import type { Spool } from './spool.ts';
import { tarEnd, tarFile, tarHeader } from './tar-writer.ts';
import type { SourceEntry, SourceNode, SourceTree, TarSelection } from './types.ts';

const FOLDER = { kind: 'dir', mode: 0o755, size: 0 } as const;

/** `a`, `a/b`, ... for `a/b/c`. */
function foldersAbove(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

interface Part {
  entry: SourceEntry;
  content: () => AsyncIterable<Buffer>;
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  if (content.length > 0) yield content;
}

/** Sorted by path; every folder above a part is a part too. */
function select(nodes: readonly SourceNode[], { keep, add = [] }: TarSelection, spool: Spool): Part[] {
  const parts = new Map<string, Part>();
  const put = (entry: SourceEntry, content: Part['content']) => {
    for (const path of foldersAbove(entry.path)) {
      if (!parts.has(path)) parts.set(path, { entry: { path, ...FOLDER }, content: () => once(Buffer.alloc(0)) });
    }
    parts.set(entry.path, { entry, content });
  };
  for (const node of nodes) {
    if (keep === undefined || keep(node.path)) put(node, () => spool.read(node.offset, node.size));
  }
  for (const { path, content } of add) {
    put({ path, kind: 'file', mode: 0o644, size: content.length }, () => once(content));
  }
  return [...parts.values()].sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1));
}

async function* tarOf(parts: Part[], prefix: string): AsyncGenerator<Buffer> {
  const folders = prefix === '' ? [] : [...foldersAbove(prefix), prefix];
  for (const path of folders) yield tarHeader({ path, ...FOLDER });
  for (const { entry, content } of parts) {
    const placed = { ...entry, path: prefix === '' ? entry.path : `${prefix}/${entry.path}` };
    if (entry.kind === 'file') yield* tarFile(placed, content());
    else yield tarHeader(placed);
  }
  yield tarEnd();
}

function smallFile(found: SourceNode | undefined, path: string, readBytes: number): SourceNode {
  const refuse = (reason: string) =>
    new WaferError('invalid_archive', `${show(path)} can not be read: ${reason}.`, {
      details: { entry: path, reason },
    });
  if (found === undefined) throw refuse('the archive has no such file');
  if (found.kind !== 'file') throw refuse(`it is a ${found.kind === 'dir' ? 'folder' : 'link'}, not a file`);
  if (found.size > readBytes) throw refuse(`it is larger than ${readBytes} bytes`);
  return found;
}

/** Owns the spool from now on. */
export function createSourceTree(nodes: SourceNode[], spool: Spool, readBytes: number): SourceTree {
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  return {
    entries: nodes,
    totalBytes: nodes.reduce((total, node) => total + node.size, 0),
    find: (path) => byPath.get(path),
    async read(path) {
      const file = smallFile(byPath.get(path), path, readBytes);
      return await buffer(spool.read(file.offset, file.size));
    },
    open(path) {
      const file = smallFile(byPath.get(path), path, Number.POSITIVE_INFINITY);
      return spool.read(file.offset, file.size);
    },
    toTar(prefix = 'function/', selection = {}) {
      const folder = prefix.replace(/\/+$/, '');
      return Readable.from(tarOf(select(nodes, selection, spool), folder), { objectMode: false });
    },
    close: () => spool.close(),
  };
}
