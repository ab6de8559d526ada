import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { isErrno, WaferError } from '../../core/errors.ts';
import { command } from '../command.ts';
import { type ContainerClient, createContainerClient } from '../container-client.ts';
import { lookInside } from '../files/inside.ts';
import { packPath } from '../files/pack.ts';
import { peekTar } from '../files/peek.ts';
import {
  chooseTarget,
  type Kind,
  lastName,
  meansDirectory,
  type Place,
  parentOf,
  readPlace,
  withoutEnding,
} from '../files/place.ts';
import { type Unpacked, unpackTar } from '../files/unpack.ts';
import { count, formatBytes, safeText } from '../format.ts';
import { assertNotTerminal, writeTar } from '../tar-output.ts';
import type { Ui } from '../ui.ts';

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
async function sourcePath(client: ContainerClient, { container, path }: Inside): Promise<string> {
  if (!meansDirectory(path)) return path;
  return withoutEnding((await lookInside(client, container, path)).path);
}

async function copyOut(client: ContainerClient, from: Inside, to: string, cwd: string, allLinks: boolean, ui: Ui) {
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

async function copyIn(client: ContainerClient, from: string, to: Inside, cwd: string, ui: Ui): Promise<number> {
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

export default command({
  name: 'cp',
  about:
    'Copies files between a container, running or not, and this machine. Into a directory that exists, else under the new name; DIR/. is the content of a directory. "-" is a tar on stdin or stdout.',
  args: {
    from: { type: 'positional', description: 'NAME:/path, a local path, or -', required: true },
    to: { type: 'positional', description: 'NAME:/path, a local path, or -', required: true },
    links: { type: 'boolean', description: 'Make links that lead out of the copy, too' },
  },
  examples: [
    ['wafer cp web:/var/log ./logs', 'out of a container'],
    ['wafer cp config.json web:/etc/app/', 'into a container'],
    ['wafer cp web:/data - | gzip > data.tar.gz', 'as a tar'],
  ],
  run: async (flags, context) => {
    const { ui, env, cwd } = context;
    const [from, to] = [readPlace(flags.from), readPlace(flags.to)];
    const client = createContainerClient(env);
    if (from.kind === 'inside') {
      if (to.kind === 'inside') throw betweenContainers(flags.from, flags.to);
      if (to.kind === 'local') return copyOut(client, from, to.path, cwd, flags.links === true, ui);
      assertNotTerminal(undefined, context);
      const { body } = await client.readFiles(from.container, await sourcePath(client, from));
      return writeTar(body, undefined, flags.from, context);
    }
    if (to.kind !== 'inside')
      throw new WaferError('usage', 'Neither of the two is in a container.', { hint: 'Write NAME:/path for one.' });
    if (from.kind === 'local') return copyIn(client, from.path, to, cwd, ui);
    if (process.stdin.isTTY === true) throw new WaferError('usage', 'There is no tar on stdin.');
    return client.writeFiles(to.container, withoutEnding(to.path), process.stdin);
  },
});

const betweenContainers = (from: string, to: string) =>
  new WaferError('usage', 'One of the two must be on this machine.', {
    hint: `wafer cp ${from} - | wafer cp - ${to}`,
  });
