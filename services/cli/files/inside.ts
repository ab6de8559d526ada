/** What is at a path of a container, or of a volume. The API has only the tar of it, so its first header is read. */
import { posix } from 'node:path';
import { extract, type Header } from 'tar-stream';
import { WaferError } from '../../core/errors.ts';
import type { ContainerClient } from '../container-client.ts';
import { type Kind, withoutEnding } from './place.ts';

/** What copying needs, of containers and of volumes. */
export type FilesClient = Pick<ContainerClient, 'readFiles' | 'writeFiles'>;

/** As many as the kernel follows. */
const MAX_LINKS = 40;

async function firstHeader(client: FilesClient, container: string, path: string): Promise<Header | null> {
  const { body } = await client.readFiles(container, path);
  const entries = extract();
  body.on('error', (error) => entries.destroy(error));
  body.pipe(entries);
  try {
    for await (const entry of entries) return entry.header;
    return null;
  } finally {
    body.destroy();
    entries.destroy();
  }
}

const isMissing = (error: unknown) => error instanceof WaferError && error.code === 'not_found';

/** Follows links, as writing to the path would. `path`: where they lead. */
export async function lookInside(
  client: FilesClient,
  container: string,
  path: string,
): Promise<{ kind: Kind; path: string }> {
  let current = withoutEnding(path);
  for (let links = 0; links < MAX_LINKS; links++) {
    if (current === '/') return { kind: 'dir', path: current };
    let header: Header | null;
    try {
      header = await firstHeader(client, container, current);
    } catch (error) {
      if (isMissing(error)) return { kind: 'missing', path };
      throw error;
    }
    if (header?.type !== 'symlink') return { kind: header?.type === 'directory' ? 'dir' : 'file', path: current };
    current = posix.resolve(posix.dirname(current), header.linkname ?? '');
  }
  throw new WaferError('usage', `${container}:${path} is a loop of links.`);
}
