/** Makes a code layer of a folder of fixtures; its name is derived from the path, not the content. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { PassThrough } from 'node:stream';
import tar from 'tar-stream';
import type { SandboxHost } from '../../runtime/sandbox/index.ts';

export async function layerOfFolder(host: SandboxHost, folder: string): Promise<string> {
  const name = createHash('sha256').update(`test ${folder}`).digest('hex');
  const pack = tar.pack();
  pack.entry({ name: 'function/', type: 'directory' });
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const inside = `function/${relative(folder, path)}`;
    if (entry.isDirectory()) pack.entry({ name: `${inside}/`, type: 'directory' });
    else if (entry.isFile()) pack.entry({ name: inside, mode: 0o644 }, await readFile(path));
  }
  pack.finalize();
  await host.removeLayer(name);
  await host.unpack(name, pack.pipe(new PassThrough()));
  return name;
}
