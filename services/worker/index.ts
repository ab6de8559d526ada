/**
 * The worker: owns the engine, the base images, the pool of instances and the builder.
 * It gives the rest of the platform a Dispatcher, a Deployer and an ImageStore.
 */
import { join } from 'node:path';
import { dataPaths } from '../core/config.ts';
import { createImageNames } from '../core/images/reserved.ts';
import { withSpans } from '../core/invocations/spans.ts';
import { createBaseImages, toolsTag } from './base-images/index.ts';
import { createBuildSandboxes } from './builder/build-sandbox.ts';
import { createDispatcher } from './calls/dispatcher.ts';
import { readStartFacts } from './calls/start-facts.ts';
import { openContainers } from './containers/index.ts';
import { openDeploys } from './deploys/open-deploys.ts';
import { openFunctionEgress } from './egress/index.ts';
import { makeDirectories, openHost, openStore, removeLeftOvers } from './ground.ts';
import { openInstancePool } from './instance-pool.ts';
import { followLive } from './live-versions.ts';
import { createNamespaceLimits } from './namespaces/limits.ts';
import type { Worker, WorkerDeps } from './types.ts';
import { openVolumes } from './volumes/index.ts';

export type { Worker, WorkerDeps } from './types.ts';

/** @throws SandboxError when the engine can not start */
export async function openWorker(deps: WorkerDeps): Promise<Worker> {
  const { config, log, functions } = deps;
  const paths = dataPaths(config.dataDir);
  const tmpDir = join(paths.cache, 'tmp');
  await makeDirectories(paths, tmpDir);
  const host = await openHost(deps, paths);
  const images = await openStore(host, paths.store, log);
  const sandboxes = createBuildSandboxes(host, paths.work);
  const basesDir = join(deps.packageRoot, 'infra/base-images');
  const bases = createBaseImages({ dir: basesDir, images, sandboxes, log: (text) => log.debug(text) });
  const names = createImageNames(() => bases.list().flatMap(({ name }) => [name, toolsTag(name)]));
  const shared = { host, images, names, log, tmpDir, defaultRegistry: config.defaultRegistry };
  const places = { dir: paths.containers, workDir: paths.work, volumesDir: paths.volumes };
  const containers = await openContainers({ ...shared, ...places });
  // Behind the containers: they hold their images.
  await removeLeftOvers(host, images, paths, log);
  const contents = { dir: paths.volumeRecords, volumesDir: paths.volumes };
  const volumes = await openVolumes({ config, host: host.volumes, ...contents, functions, log });
  const egress = openFunctionEgress(config, deps.egressLog);
  const limits = createNamespaceLimits(config);
  const instances = openInstancePool(deps, { host, images, bases, volumes, egress, limits });
  const { pool, blanks } = instances;
  const facts = { images, ...instances, blanksKept: config.blanks };
  const dispatcher = withSpans(createDispatcher(pool, blanks, (version) => readStartFacts(version, facts)));
  const live = followLive(functions, instances);
  const builders = { images, bases, sandboxes, names, basesDir, tmpDir };
  const deploys = { ...builders, dispatcher, volumes, limits, onPublished: live.published };
  return {
    functions: live.functions,
    dispatcher,
    ...openDeploys(deps, deploys),
    images,
    names,
    bases,
    pool,
    containers,
    volumes: volumes.volumes,
    hasWritten: volumes.hasWritten,
    engine: () => host.info,
    prepareBases: (onProgress) => bases.prepare(onProgress),
    keepWarm: live.keepWarm,
    healthy: () => answers(host.engineStats()),
    totals: { egress: egress.totals, volumes: volumes.totals, sums: () => limits.sums((of) => pool.sumOf(of)) },
    engineStats: () => host.engineStats(),
    async close(signal) {
      await Promise.all([instances.close(signal), containers.close()]);
      await volumes.close();
      await host.close();
    },
  };
}

const answers = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => true,
    () => false,
  );
