import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

/** The body of a deploy: `config` first, so that the server can refuse it before it reads the archive. Owns `archive`. */
export function deployBody(config: object, archive: Readable): { contentType: string; body: Readable } {
  const boundary = `wafer-${randomUUID()}`;
  async function* parts(): AsyncGenerator<Buffer> {
    const open = (headers: string) =>
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${headers}\r\n\r\n`);
    yield open('name="config"\r\ncontent-type: application/json');
    yield Buffer.from(`${JSON.stringify(config)}\r\n`);
    yield open('name="archive"; filename="function.tar.gz"\r\ncontent-type: application/gzip');
    for await (const chunk of archive) yield chunk as Buffer;
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: Readable.from(parts(), { objectMode: false }),
  };
}
