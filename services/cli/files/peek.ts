/** The first header of a tar, and the whole tar still. */
import { PassThrough, type Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { WaferError } from '../../core/errors.ts';

/** Owns `body`; the caller reads or destroys `tar`. @throws WaferError `invalid_archive` when there is no entry */
export async function peekTar(body: Readable): Promise<{ header: Header; tar: Readable }> {
  const seen: Buffer[] = [];
  let isOver = false;
  const header = await new Promise<Header>((resolve, reject) => {
    const entries = extract();
    const feed = (chunk: Buffer) => {
      seen.push(chunk);
      entries.write(chunk);
    };
    // A small tar has come as a whole before its first entry is told.
    const end = () => {
      isOver = true;
      entries.end(Buffer.alloc(0));
    };
    entries.on('entry', (found) => {
      body.off('data', feed).off('end', end).pause();
      resolve(found);
    });
    entries.on('error', reject);
    entries.on('finish', () => reject(new WaferError('invalid_archive', 'The archive of the container is empty.')));
    body.on('error', reject).on('data', feed).on('end', end);
  });
  const tar = new PassThrough();
  for (const chunk of seen) tar.write(chunk);
  body.on('error', (error) => tar.destroy(error));
  tar.on('close', () => body.destroy());
  if (isOver) tar.end();
  else body.pipe(tar);
  return { header, tar };
}
