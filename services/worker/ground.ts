/** The ground that a worker stands on: its directories, its engine and its image store. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type EgressVerdict, openSupervisedHost, type SandboxHost } from '../../runtime/sandbox/index.ts';
import type { dataPaths } from '../core/config.ts';
import { openImageStore } from '../core/images/index.ts';
import { OWN_PREFIX } from '../core/images/reserved.ts';
import type { ImageStore, LayerUnpacker } from '../core/images/types.ts';
import type { Log } from '../core/log.ts';
import { BUILD_PREFIX } from './builder/ids.ts';
import type { WorkerDeps } from './types.ts';

export type DataPaths = ReturnType<typeof dataPaths>;

/** `layers`, `work` and `volumes` are walked by other host ids (the sandboxes'); what keeps others out is the 0700 data directory above. */
export async function makeDirectories(paths: DataPaths, tmpDir: string): Promise<void> {
  await mkdir(paths.store, { recursive: true, mode: 0o711 });
  await mkdir(paths.layers, { recursive: true, mode: 0o711 });
  await mkdir(paths.work, { recursive: true, mode: 0o711 });
  await mkdir(paths.volumes, { recursive: true, mode: 0o711 });
  await mkdir(tmpDir, { recursive: true, mode: 0o700 });
}

export function openHost({ config, packageRoot, runDir, log }: WorkerDeps, paths: DataPaths): Promise<SandboxHost> {
  return openSupervisedHost({
    enginePath: join(packageRoot, 'runtime/engine/build/wafer-engine'),
    languagesDir: join(packageRoot, 'runtime/languages'),
    layersDir: paths.layers,
    workDir: paths.work,
    volumesDir: paths.volumes,
    runDir,
    limits: config.limits,
    onEngineExit: (reason) => log.error({ reason }, 'engine ended'),
    onVerdict: (verdict: EgressVerdict) => log.debug({ verdict }, 'egress'),
  });
}

export function openStore(host: SandboxHost, dir: string, log: Log): Promise<ImageStore> {
  const unpacker: LayerUnpacker = {
    unpack: (name, tar, signal) => host.unpack(name, tar, signal === undefined ? {} : { signal }),
    remove: (name) => host.removeLayer(name),
  };
  return openImageStore({ dir, unpacker, log });
}

/** After a crash: uppers of builds, half-made layers, images and blobs that nothing refers to. */
export async function removeLeftOvers(
  host: SandboxHost,
  images: ImageStore,
  paths: DataPaths,
  log: Log,
): Promise<void> {
  for (const name of await readdir(paths.volumes)) if (name.startsWith('tmp-')) await host.removeVolume(name);
  for (const name of await readdir(paths.work))
    if (name.startsWith(BUILD_PREFIX) || name.startsWith('tmp-')) await host.removeWork(name);
  for (const tag of (await images.list()).flatMap((image) => image.tags))
    if (tag.startsWith(OWN_PREFIX.deploying)) await images.untag(tag);
  // One damaged image must not keep the others from being served.
  await images.collectGarbage().catch((err: unknown) => log.error({ err }, 'garbage could not be collected'));
}
