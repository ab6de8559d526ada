/** Where COPY and ADD take files from: the context, or the layers of a stage or image. One shape for all. */
import { createHash } from 'node:crypto';
import type { SourceTree } from '../../functions/source/index.ts';
import type { ImageStore, LayerInfo } from '../types.ts';
import { createFileTree, type FileEntry, type FileTree } from './file-tree.ts';
import type { ContextIgnore } from './ignore.ts';
import { type LayerIndexes, openLayerContents } from './layer-index.ts';

export interface CopySource {
  /** For messages: `the build context`. */
  label: string;
  tree: FileTree;
  /** Before `open` and `digest`. */
  load(files: readonly FileEntry[]): Promise<void>;
  open(file: FileEntry): AsyncIterable<Buffer>;
  /** Of the bytes alone. */
  digest(file: FileEntry): Promise<string>;
  close(): Promise<void>;
}

function digester(open: (file: FileEntry) => AsyncIterable<Buffer>) {
  const known = new Map<string, Promise<string>>();
  const compute = async (file: FileEntry) => {
    const hash = createHash('sha256');
    for await (const chunk of open(file)) hash.update(chunk);
    return hash.digest('hex');
  };
  return (file: FileEntry): Promise<string> => {
    const key = `${file.origin.layer} ${file.origin.member ?? ''} ${file.origin.path}`;
    const found = known.get(key) ?? compute(file);
    known.set(key, found);
    return found;
  };
}

/** What the ignore file names is not there. Everything belongs to root: who sent the context has no id in the image. */
export function contextSource(context: SourceTree, ignore: ContextIgnore, mtime: number): CopySource {
  const tree = createFileTree();
  for (const { path, kind, mode, size, target } of context.entries) {
    if (ignore.ignores(path)) continue;
    const origin = { layer: 'context', path };
    tree.set(path, { kind, mode, uid: 0, gid: 0, size, mtime, origin, ...(target === undefined ? {} : { target }) });
  }
  const open = (file: FileEntry) => context.open(file.origin.path);
  return {
    label: 'the build context',
    tree,
    load: async () => {},
    open,
    digest: digester(open),
    close: async () => {},
  };
}

export interface LayerSourceDeps {
  images: Pick<ImageStore, 'exportLayer'>;
  indexes: LayerIndexes;
  tmpDir: string;
}

export async function layerSource(
  layers: readonly LayerInfo[],
  label: string,
  deps: LayerSourceDeps,
): Promise<CopySource> {
  const tree = await deps.indexes.tree(layers);
  const contents = await openLayerContents(deps.images, deps.tmpDir);
  return { label, tree, ...contents, digest: digester(contents.open) };
}
