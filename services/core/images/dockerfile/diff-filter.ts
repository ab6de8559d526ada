/** The difference of a step without what lies in its mounts: contents of caches, binds and secrets are in no layer. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { WaferError } from '../../errors.ts';
import { type TarEntry, tarEnd, tarFile, tarHeader } from '../../functions/source/tar-writer.ts';
import type { FileTree } from './file-tree.ts';
import { cleanName, seconds, xattrsOf } from './layer-index.ts';

const KINDS: Record<string, TarEntry['kind']> = { file: 'file', directory: 'dir', symlink: 'symlink', link: 'link' };

export const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/**
 * `targets` have no slash at either end. Folders above one, that only carry it and are as `below` has them, go
 * too. Owns the tar. The stream errors for a hard link into a mount: its bytes are not in the layer.
 */
export function withoutMounts(tar: Readable, targets: readonly string[], below: FileTree): Readable {
  return Readable.from(filter(tar, targets, below), { objectMode: false });
}

async function* filter(tar: Readable, targets: readonly string[], below: FileTree): AsyncGenerator<Buffer> {
  const parser = extract();
  const feeding = pipeline(tar, parser);
  feeding.catch(() => undefined);
  let held: { path: string; header: Buffer }[] = [];
  for await (const member of parser) {
    const { header } = member;
    const path = cleanName(header.name);
    const kind = KINDS[header.type ?? 'file'];
    if (kind === undefined) throw new WaferError('build_failed', `/${path} is a ${header.type}.`);
    if (targets.some((target) => isWithin(path, target))) {
      member.resume();
      continue;
    }
    const target = kind === 'link' ? cleanName(header.linkname ?? '') : (header.linkname ?? '');
    if (kind === 'link' && targets.some((one) => isWithin(target, one)))
      throw new WaferError(
        'build_failed',
        `/${path} is a hard link to a file in a mount, which is in no layer; copy it.`,
      );
    const pax = xattrsOf(header.pax);
    const entry: TarEntry = {
      kind,
      path,
      mode: (header.mode ?? 0) & 0o7777,
      size: kind === 'file' ? (header.size ?? 0) : 0,
      uid: header.uid ?? 0,
      gid: header.gid ?? 0,
      mtime: seconds(header.mtime),
      ...(kind === 'symlink' || kind === 'link' ? { target } : {}),
      ...(pax === undefined ? {} : { pax }),
    };
    held = held.filter((one) => isWithin(path, one.path));
    if (kind === 'dir' && carries(entry, targets, below)) held.push({ path, header: tarHeader(entry) });
    else {
      for (const one of held.splice(0)) yield one.header;
      if (kind === 'file') {
        yield* tarFile(entry, member as AsyncIterable<Buffer>);
        continue;
      }
      yield tarHeader(entry);
    }
    member.resume();
  }
  await feeding;
  yield tarEnd();
}

/** The folder is above a mount, and nothing about it has changed. */
function carries(entry: TarEntry, targets: readonly string[], below: FileTree): boolean {
  if (!targets.some((target) => isWithin(target, entry.path))) return false;
  const known = below.get(entry.path);
  return known === undefined || (known.mode === entry.mode && known.uid === entry.uid && known.gid === entry.gid);
}
