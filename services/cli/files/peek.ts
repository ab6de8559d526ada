/** The first header of a tar, and the whole tar still. */
import { PassThrough, type Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import { WaferError } from '../../core/errors.ts';

/** Owns `body`; the caller reads or destroys `tar`. @throws WaferError `invalid_archive` when there is no entry */
export async function peekTar(body: Readable): Promise<{ header: Header; tar: Readable }> {
  const seen: Buffer[] = [];
  const header = await new Promise<Header>((resolve, reject) => {
    const entries = extract();
    entries.on('entry', (found, _stream) => {
      body.off('data', feed).off('end', finish);
      body.pause();
      resolve(found);
    });
    const finish = () => reject(new WaferError('invalid_archive', 'The archive of the container is empty.'));
    const feed = (chunk: Buffer) => {
      seen.push(chunk);
      entries.write(chunk);
    };
    entries.on('error', reject);
    body.on('error', reject).on('data', feed).on('end', finish);
  });
  const tar = new PassThrough();
  for (const chunk of seen) tar.write(chunk);
  body.on('error', (error) => tar.destroy(error));
  tar.on('close', () => body.destroy());
  body.pipe(tar);
  return { header, tar };
}
