/** What the writable layer says against the image. */

import type { ContainerChange } from '../../core/containers/types.ts';
import { type FileTree, parentOf, walkTree } from '../../core/images/dockerfile/file-tree.ts';
import type { LayerIndex } from '../../core/images/dockerfile/layer-index.ts';

/** `below` is the image's tree. Sorted by path. */
export function changesOf(below: FileTree, upper: LayerIndex): ContainerChange[] {
  const found = new Map<string, ContainerChange['kind']>();
  for (const path of upper.entries.keys())
    if (path !== '') found.set(path, below.get(path) === undefined ? 'added' : 'changed');
  for (const path of upper.whiteouts) if (below.get(path) !== undefined) found.set(path, 'deleted');
  // Everything that was below an opaque folder is gone, unless it was made again.
  for (const folder of upper.opaque)
    for (const { path } of walkTree(below, folder)) {
      const isTop = path !== folder && !found.has(path) && found.get(parentOf(path)) !== 'deleted';
      if (isTop) found.set(path, 'deleted');
    }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, kind]) => ({ kind, path: `/${path}` }));
}
