/** Copies between this machine and what is inside: a container's root, or a volume. */
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { isErrno, WaferError } from '../../core/errors.ts';
import type { CliContext } from '../command.ts';
import { count, formatBytes, safeText } from '../format.ts';
import { assertNotTerminal, writeTar } from '../tar-output.ts';
import type { Ui } from '../ui.ts';
import { type FilesClient, lookInside } from './inside.ts';
import { packPath } from './pack.ts';
import { peekTar } from './peek.ts';
import {
  chooseTarget,
  type Kind,
  lastName,
  meansDirectory,
  type Place,
  parentOf,
  readPlace,
  withoutEnding,
} from './place.ts';
import { type Unpacked, unpackTar } from './unpack.ts';

type Inside = Extract<Place, { kind: 'inside' }>;

/** More lines than this nobody reads. */
const MAX_LEFT = 10;

async function localKind(path: string): Promise<Kind> {
  try {
    return (await stat(path)).isDirectory() ? 'dir' : 'file';
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return 'missing';
    throw new WaferError('usage', `${path} can not be read: ${(error as Error).message}`, { cause: error });
  }
}

function report(ui: Ui, { files, bytes, left }: Unpacked, where: string): number {
  for (const { path, why } of left.slice(0, MAX_LEFT))
    ui.err(`${ui.paintErr('yellow', 'not copied:')} ${safeText(`${path}: ${why}`)}`);
  if (left.length > MAX_LEFT) ui.err(`  and ${left.length - MAX_LEFT} more`);
  ui.err(`${ui.paintErr('green', '✓')} ${count(files, 'file')}, ${formatBytes(bytes)} in ${where}.`);
  return left.length === 0 ? 0 : 1;
}

/** A link is copied as one, unless its name ends like a directory's. */
async function sourcePath(client: FilesClient, { container, path }: Inside): Promise<string> {
  if (!meansDirectory(path)) return path;
  return withoutEnding((await lookInside(client, container, path)).path);
}

async function copyOut(client: FilesClient, from: Inside, to: string, cwd: string, allLinks: boolean, ui: Ui) {
  const { body } = await client.readFiles(from.container, await sourcePath(client, from));
  const { header, tar } = await peekTar(body);
  const full = resolve(cwd, to);
  const kind = await localKind(full);
  const source = { path: from.path, isDir: header.type === 'directory', name: lastName(from.path) };
  const target = chooseTarget(source, {
    // resolve() took the ending that matters.
    path: to.endsWith('/') ? `${full}/` : full,
    kind,
    parent: dirname(full),
    name: basename(full),
    shown: to,
  });
  if ((await localKind(target.dir)) !== 'dir') {
    tar.destroy();
    throw new WaferError('usage', `There is no directory ${target.dir}.`, { hint: 'Make it first.' });
  }
  const result = await unpackTar(tar, { dir: target.dir, rename: target.name, allLinks });
  return report(ui, result, full);
}

async function copyIn(client: FilesClient, from: string, to: Inside, cwd: string, ui: Ui): Promise<number> {
  const full = resolve(cwd, from);
  const kind = await localKind(full);
  if (kind === 'missing') throw new WaferError('usage', `There is no ${from}.`);
  const there = await lookInside(client, to.container, to.path);
  const isDir = kind === 'dir';
  const target = chooseTarget(
    { path: from, isDir, name: basename(full) },
    {
      path: there.kind === 'missing' ? to.path : there.path,
      kind: there.kind,
      parent: parentOf(there.path),
      name: lastName(there.path),
      shown: `${to.container}:${to.path}`,
    },
  );
  await client.writeFiles(to.container, target.dir, packPath(full, target.name));
  ui.err(`${ui.paintErr('green', '✓')} ${from} is in ${to.container}:${to.path}.`);
  return 0;
}

export interface CopyOptions {
  from: string;
  to: string;
  /** Links that lead out of the copy are made, too. */
  links: boolean;
  /** `a container`, `a volume`. */
  inside: string;
  /** `wafer cp`. */
  command: string;
}

/** @returns the exit code @throws WaferError `usage` */
export async function copyFiles(
  client: FilesClient,
  options: CopyOptions,
  context: CliContext,
): Promise<number | undefined> {
  const { ui, cwd } = context;
  const [from, to] = [readPlace(options.from), readPlace(options.to)];
  if (from.kind === 'inside') {
    if (to.kind === 'inside') throw betweenTwo(options);
    if (to.kind === 'local') return copyOut(client, from, to.path, cwd, options.links, ui);
    assertNotTerminal(undefined, context);
    const { body } = await client.readFiles(from.container, await sourcePath(client, from));
    await writeTar(body, undefined, options.from, context);
    return undefined;
  }
  if (to.kind !== 'inside')
    throw new WaferError('usage', `Neither of the two is in ${options.inside}.`, { hint: 'Write NAME:/path for one.' });
  if (from.kind === 'local') return copyIn(client, from.path, to, cwd, ui);
  if (process.stdin.isTTY === true) throw new WaferError('usage', 'There is no tar on stdin.');
  await client.writeFiles(to.container, withoutEnding(to.path), process.stdin);
  return undefined;
}

const betweenTwo = ({ from, to, command }: CopyOptions) =>
  new WaferError('usage', 'One of the two must be on this machine.', {
    hint: `${command} ${from} - | ${command} - ${to}`,
  });
