import type { ReadContext } from './read-tar.ts';
import { refuseEntry } from './refuse.ts';

type InlineFiles = Record<string, string | { base64: string }>;

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function decodeContent(name: string, content: string | { base64: string }): Buffer {
  if (typeof content === 'string') return Buffer.from(content);
  const { base64 } = content;
  if (base64.length % 4 !== 0 || !BASE64.test(base64)) throw refuseEntry(name, 'its content is not base64');
  return Buffer.from(base64, 'base64');
}

/** Files of a JSON deploy; the caller's own names are taken as they are, so nothing is stripped. */
export async function readFiles(files: InlineFiles, { builder, meter, spool, signal }: ReadContext): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    signal.throwIfAborted();
    if (name.endsWith('/')) throw refuseEntry(name, 'it names a folder; give files only');
    const components = builder.name(name);
    if (components === null) continue;
    const bytes = decodeContent(name, content);
    meter.content(bytes.length);
    builder.addFile(components, { executable: false, size: bytes.length, offset: spool.size });
    await spool.append(bytes);
  }
}
