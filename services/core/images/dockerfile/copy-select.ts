/** What the sources of COPY and ADD are: paths and globs in a tree, and the digest of all they bring. */
import { createHash } from 'node:crypto';
import type { CopySource } from './copy-source.ts';
import { type FileEntry, type FileTree, joined, nameOf, partsOf, walkTree } from './file-tree.ts';
import { compileGlob, GlobError, hasWildcard } from './glob.ts';
import { type Instruction, refuse } from './types.ts';

export interface Selected {
  /** Name at the destination, when that is a folder. */
  name: string;
  /** In the source's tree, links followed. */
  path: string;
  entry: FileEntry;
}

const MAX_MATCHES = 20_000;

/** @throws WaferError `invalid_dockerfile`, `build_failed` when nothing is there */
export function selectSources(instruction: Instruction, source: CopySource, patterns: readonly string[]): Selected[] {
  return patterns.flatMap((pattern) => {
    const parts = partsOf(pattern);
    if (parts.includes('..')) throw refuse(instruction, `${show(pattern)} leaves ${source.label}.`);
    const paths = hasWildcard(pattern) ? expandGlob(instruction, source.tree, parts, pattern) : [parts.join('/')];
    const found = paths.flatMap((path) => follow(source.tree, path));
    if (found.length > 0) return found;
    const ignored = source.label === 'the build context' ? ' or .dockerignore leaves it out' : '';
    throw refuse(instruction, `${show(pattern)} is not in ${source.label}${ignored}.`);
  });
}

const show = (text: string) => JSON.stringify(text.slice(0, 200));

function follow(tree: FileTree, path: string): Selected[] {
  const real = tree.resolve(path);
  const entry = real === null ? undefined : tree.get(real);
  return real === null || entry === undefined ? [] : [{ name: nameOf(path), path: real, entry }];
}

/** One name after the other; links are followed only where the pattern names them, so no loop of links multiplies. */
function expandGlob(instruction: Instruction, tree: FileTree, parts: string[], pattern: string): string[] {
  let paths = [''];
  try {
    for (const part of parts) {
      const matches = hasWildcard(part) ? compileGlob(part, { doubleStar: false }) : null;
      paths = paths.flatMap((path) => {
        if (matches === null) return [tree.resolve(joined(path, part), { last: false }) ?? []].flat();
        return tree
          .children(path)
          .filter(matches)
          .map((name) => joined(path, name));
      });
      if (paths.length > MAX_MATCHES) throw refuse(instruction, `${show(pattern)} names too many files.`);
    }
  } catch (error) {
    if (error instanceof GlobError) throw refuse(instruction, `${show(pattern)} is not a pattern: ${error.message}.`);
    throw error;
  }
  return paths.filter((path) => tree.get(path) !== undefined);
}

/** Names, kinds, modes, owners and bytes of everything selected; no times. Loads what it reads. */
export async function digestSelected(source: CopySource, selected: readonly Selected[]): Promise<string> {
  const all = selected.map((one) => ({ one, files: [...walkTree(source.tree, one.path)] }));
  await source.load(all.flatMap(({ files }) => files.map(({ entry }) => entry)));
  const hash = createHash('sha256');
  for (const { one, files } of all) {
    for (const { path, entry } of files) {
      const { kind, mode, uid, gid, target = '', pax = {} } = entry;
      const content = kind === 'file' ? await source.digest(entry) : '';
      hash.update(
        `${JSON.stringify([one.name, path.slice(one.path.length), kind, mode, uid, gid, target, pax, content])}\n`,
      );
    }
  }
  return hash.digest('hex');
}
