/** Folders of small files for deploys and builds, gone with the tests. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Folders {
  readonly dir: string;
  /** Files that begin with `#!` can be run. */
  make(files: Record<string, string | Buffer>): Promise<string>;
  remove(): Promise<void>;
}

export async function openFolders(prefix: string): Promise<Folders> {
  const dir = await mkdtemp(join(tmpdir(), prefix));
  let next = 1;
  return {
    dir,
    async make(files) {
      const folder = join(dir, `f${next++}`);
      for (const [path, content] of Object.entries(files)) {
        const file = join(folder, path);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, content);
        if (content.toString('latin1', 0, 2) === '#!' || String(content).startsWith('#!')) await chmod(file, 0o755);
      }
      return folder;
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
