/** What people and other tools do with the images of a worker: pull, push, save, load, and the registry at `/v2/`. */
import { mkdir, rm } from 'node:fs/promises';
import type { Closer } from './closer.ts';
import { type Config, dataPaths } from './core/config.ts';
import type { FunctionStore } from './core/functions/types.ts';
import { createFunctionImages } from './core/images/distribution/function-images.ts';
import { type Distribution, openDistribution } from './core/images/distribution/service.ts';
import { createImageService, type ImageService } from './core/images/index.ts';
import { createRegistryClient } from './core/images/registry/client.ts';
import { createCredentials } from './core/images/registry/credentials.ts';
import { readProxies } from './core/images/registry/proxies.ts';
import type { Log } from './core/log.ts';
import type { Worker } from './worker/index.ts';

export type RegistryAccess = ReturnType<typeof openRegistryAccess>;

/** Registries of others, as this host reaches them. */
export function openRegistryAccess({ dataDir, insecureRegistries: insecure }: Config, env: NodeJS.ProcessEnv) {
  const credentials = createCredentials(dataPaths(dataDir).registries);
  return { credentials, client: createRegistryClient({ insecure, credentials, proxies: readProxies(env) }) };
}

interface ImageParts {
  worker: Worker;
  functions: FunctionStore;
  registry: RegistryAccess;
  log: Log;
}

export async function openImageServices(
  config: Config,
  { worker, functions, registry, log }: ImageParts,
  closer: Closer,
): Promise<{ imageService: ImageService; distribution: Distribution }> {
  const imageService = await openImageService(config, worker, functions, registry);
  const { images: store, names, deployer } = worker;
  const functionImages = createFunctionImages({ functions: worker.functions, deployer });
  const distribution = closer.keep(await openDistribution({ store, names, functions: functionImages, log }));
  return { imageService, distribution };
}

async function openImageService(
  { dataDir, defaultRegistry }: Config,
  { images: store, names, containers }: Worker,
  functions: FunctionStore,
  access: RegistryAccess,
): Promise<ImageService> {
  const { loads } = dataPaths(dataDir);
  // What a crash left of archives that were being loaded.
  await rm(loads, { recursive: true, force: true });
  await mkdir(loads, { recursive: true, mode: 0o700 });
  const versions = async () =>
    (await Promise.all((await functions.list()).map(({ name }) => functions.versions(name)))).flat();
  const { usersOf } = containers;
  return createImageService({ store, ...access, defaultRegistry, names, versions, usersOf, tmpDir: loads });
}
