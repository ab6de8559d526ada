/** Puts together what a folder or an image takes to become a version. */
import { assertEgress } from '../../core/functions/egress-ceiling.ts';
import type { Deployer } from '../../core/functions/types.ts';
import type { ImageBuilds } from '../../core/images/dockerfile/builds.ts';
import { readProxies } from '../../core/images/registry/proxies.ts';
import { createRemoteFiles } from '../../core/images/remote-files.ts';
import { createDependencyBuilder } from '../builder/dependencies.ts';
import { createImageSource } from '../builder/image-source.ts';
import { createRegistries } from '../builder/registries.ts';
import type { NamespaceLimits } from '../namespaces/limits.ts';
import type { WorkerDeps } from '../types.ts';
import type { WorkerVolumes } from '../volumes/index.ts';
import { createDeployer, type DeployerDeps } from './deployer.ts';
import { createImageBuilds, type ImageBuildsDeps } from './image-builds.ts';

type Parts = Pick<DeployerDeps, 'images' | 'bases' | 'sandboxes' | 'tmpDir' | 'dispatcher' | 'onPublished'> &
  Pick<ImageBuildsDeps, 'names' | 'basesDir'> & { volumes: WorkerVolumes; limits: NamespaceLimits };

export function openDeploys(deps: WorkerDeps, parts: Parts): { deployer: Deployer; imageBuilds: ImageBuilds } {
  const { config, env, functions, registry: client, log } = deps;
  const { images, bases, sandboxes, names, basesDir, tmpDir, dispatcher, onPublished } = parts;
  // ADD fetches the way that this host reaches the internet.
  const remotes = createRemoteFiles({ proxies: readProxies(env) });
  const imageBuilds = createImageBuilds({ images, sandboxes, names, basesDir, tmpDir, remotes });
  const deployer = createDeployer({
    functions,
    images,
    bases,
    sandboxes,
    dependencies: createDependencyBuilder({ images, sandboxes, registries: createRegistries(env) }),
    builds: imageBuilds,
    imageSource: createImageSource({ images, client, defaultRegistry: config.defaultRegistry }),
    tmpDir,
    log,
    dispatcher,
    assertConfig: assertWith(parts, deps),
    onPublished,
  });
  return { deployer, imageBuilds };
}

const assertWith =
  ({ volumes, limits }: Parts, { config: { egress }, assertFollowers }: WorkerDeps): DeployerDeps['assertConfig'] =>
  async (config) => {
    limits.assertFits(config);
    assertEgress(config, egress);
    volumes.assertMounts(config);
    await assertFollowers?.(config);
  };
