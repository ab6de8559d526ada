/** A data directory of a test's own. What lies in its layers belongs to subordinate ids: only an engine can remove it. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openSandboxHost, type SandboxHost } from '../../runtime/sandbox/index.ts';
import { ROOT } from './paths.ts';

export async function openHostAt(data: string): Promise<SandboxHost> {
  const dirs = { layersDir: 'store/layers', workDir: 'work', volumesDir: 'volumes', runDir: 'run-of-test' };
  const paths = Object.fromEntries(Object.entries(dirs).map(([key, name]) => [key, join(data, name)])) as typeof dirs;
  for (const path of Object.values(paths)) await mkdir(path, { recursive: true, mode: 0o711 });
  return openSandboxHost({
    enginePath: join(ROOT, 'runtime/engine/build/wafer-engine'),
    languagesDir: join(ROOT, 'runtime/languages'),
    ...paths,
  });
}

/** The platform that used it has ended. */
export async function removeData(data: string): Promise<void> {
  const host = await openHostAt(data);
  try {
    const { layers, work } = await host.list();
    for (const name of layers) await host.removeLayer(name);
    for (const name of work) await host.removeWork(name);
  } finally {
    await host.close();
  }
  await rm(data, { recursive: true, force: true });
}
