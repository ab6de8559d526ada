/**
 * The worker: owns the engine, the base images, the pool of instances and the builder.
 * It gives the rest of the platform a Dispatcher, a Deployer and an ImageStore.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import {
  type EgressVerdict,
  type EngineInfo,
  type EngineStats,
  openSupervisedHost,
  type SandboxHost,
} from '../../runtime/sandbox/index.ts';
import type { Config } from '../core/config.ts';
import { dataPaths } from '../core/config.ts';
import type { EgressSink } from '../core/egress/types.ts';
import { assertEgress } from '../core/functions/egress-ceiling.ts';
import { LIVE_ALIAS } from '../core/functions/names.ts';
import type { FunctionConfig } from '../core/functions/schema.ts';
import type { Deployer, FunctionRecord, FunctionStore, FunctionVersion } from '../core/functions/types.ts';
import type { ImageBuilds } from '../core/images/dockerfile/builds.ts';
import { openImageStore } from '../core/images/index.ts';
import type { RegistryClient } from '../core/images/registry/client.ts';
import { readProxies } from '../core/images/registry/proxies.ts';
import { createRemoteFiles } from '../core/images/remote-files.ts';
import { createImageNames, type ImageNames, OWN_PREFIX } from '../core/images/reserved.ts';
import type { ImageStore, LayerUnpacker } from '../core/images/types.ts';
import { withSpans } from '../core/invocations/spans.ts';
import type { Dispatcher, LogSink } from '../core/invocations/types.ts';
import type { Log } from '../core/log.ts';
import type { VolumeTotals } from '../core/volumes/totals.ts';
import type { Volumes } from '../core/volumes/types.ts';
import { type BaseImages, type BaseProgress, createBaseImages, toolsTag } from './base-images/index.ts';
import { type Blanks, createBlanks } from './blanks/index.ts';
import { createBuildSandboxes } from './builder/build-sandbox.ts';
import { createDependencyBuilder } from './builder/dependencies.ts';
import { BUILD_PREFIX } from './builder/ids.ts';
import { createImageSource } from './builder/image-source.ts';
import { createRegistries } from './builder/registries.ts';
import { createDispatcher } from './calls/dispatcher.ts';
import { readStartFacts } from './calls/start-facts.ts';
import { type ContainerService, openContainers } from './containers/index.ts';
import { createDeployer, type DeployerDeps } from './deploys/deployer.ts';
import { createImageBuilds, type ImageBuildsDeps } from './deploys/image-builds.ts';
import { type EgressTotals, type FunctionEgress, openFunctionEgress } from './egress/index.ts';
import { createBootQueue } from './instances/boot-queue.ts';
import type { Instance } from './instances/instance.ts';
import { type InstancePlan, planInstance } from './instances/plan.ts';
import { startInstance } from './instances/start.ts';
import { createLearnedPolicy } from './keep-alive/policy.ts';
import { capInvocations } from './output/invocation-cap.ts';
import { createPool, type Pool } from './pool/pool.ts';
import type { SecretsHere } from './secrets/bind.ts';
import { type InstanceVolumes, openVolumes, type WorkerVolumes } from './volumes/index.ts';
import { createZygotes } from './zygotes/index.ts';

export interface WorkerDeps {
  config: Config;
  /** Where `runtime/` and `infra/` lie. */
  packageRoot: string;
  /** Short directory (0700) for the host socket. */
  runDir: string;
  functions: FunctionStore;
  logs: LogSink;
  /** Where functions connected to. */
  egressLog: EgressSink;
  /** Values for instances that start, and who is told of newer ones. */
  secrets: SecretsHere;
  /** For deploys of images that the store has not. */
  registry: RegistryClient;
  log: Log;
  env: NodeJS.ProcessEnv;
  /** Before a version is kept: where its onSuccess and onFailure lead. @throws WaferError `invalid_config` */
  assertFollowers?: (config: Pick<FunctionConfig, 'onSuccess' | 'onFailure'>) => Promise<void>;
  /** Before an instance starts: brings the image of a version that was built by another worker. */
  obtain?: (version: FunctionVersion, images: ImageStore) => Promise<void>;
}

export interface Worker {
  /** The store; the pool follows `live` when it moves. */
  readonly functions: FunctionStore;
  readonly dispatcher: Dispatcher;
  readonly deployer: Deployer;
  readonly images: ImageStore;
  readonly names: ImageNames;
  readonly imageBuilds: ImageBuilds;
  readonly bases: BaseImages;
  readonly engine: () => EngineInfo;
  readonly pool: Pool<Instance>;
  readonly containers: ContainerService;
  readonly volumes: Volumes;
  prepareBases(onProgress: (progress: BaseProgress) => void): Promise<void>;
  /** Starts the instances that versions ask to be kept, and the blanks for the others. */
  keepWarm(): Promise<void>;
  healthy(): Promise<boolean>;
  /** Counts since the start, and what is there now. */
  readonly totals: { egress(): EgressTotals; volumes(): VolumeTotals };
  /** Of the engine that runs now. @throws SandboxError when there is none */
  engineStats(): Promise<EngineStats>;
  /** Lets running calls finish until the signal aborts. */
  close(signal: AbortSignal): Promise<void>;
}

const MIB = 1024 * 1024;
const MAX_WAITING = 1_000;

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
  const { defaultRegistry } = config;
  const shared = { host, images, names, log, tmpDir, defaultRegistry };
  const places = { dir: paths.containers, workDir: paths.work, volumesDir: paths.volumes };
  const containers = await openContainers({ ...shared, ...places });
  // Behind the containers: they hold their images.
  await removeLeftOvers(host, images, paths, log);
  const contents = { dir: paths.volumeRecords, volumesDir: paths.volumes };
  const volumes = await openVolumes({ host: host.volumes, ...contents, functions, log });
  const egress = openFunctionEgress(config, deps.egressLog);
  const { pool, blanks, memoryBudgetMb, closePool } = openPool(deps, { host, images, bases, volumes, egress });
  const bare = createDispatcher(pool, blanks, (version) =>
    readStartFacts(version, { images, blanks, pool, blanksKept: config.blanks, memoryBudgetMb }),
  );
  const dispatcher = withSpans(bare);
  const dependencies = createDependencyBuilder({ images, sandboxes, registries: createRegistries(deps.env) });
  const imageBuilds = openImageBuilds(deps.env, { images, sandboxes, names, basesDir, tmpDir });
  const deployer = createDeployer({
    functions,
    images,
    bases,
    sandboxes,
    dependencies,
    builds: imageBuilds,
    imageSource: createImageSource({ images, client: deps.registry, defaultRegistry }),
    tmpDir,
    log,
    dispatcher,
    assertConfig: assertWith(volumes, deps),
    onPublished: (version) => afterPublish(version, pool, blanks),
  });
  return {
    functions: { ...functions, setAlias: (...move) => moveAlias(functions, { pool, blanks }, move) },
    dispatcher,
    deployer,
    images,
    imageBuilds,
    names,
    bases,
    pool,
    containers,
    volumes: volumes.volumes,
    engine: () => host.info,
    prepareBases: (onProgress) => bases.prepare(onProgress),
    keepWarm: () => keepWarm(functions, pool, blanks),
    healthy: () => answers(host.engineStats()),
    totals: { egress: egress.totals, volumes: volumes.totals },
    engineStats: () => host.engineStats(),
    async close(signal) {
      await Promise.all([closePool(signal), containers.close()]);
      await volumes.close();
      await host.close();
    },
  };
}

interface InstancePool {
  pool: Pool<Instance>;
  blanks: Blanks;
  memoryBudgetMb: number;
  /** Lets running calls finish until the signal aborts. */
  closePool(signal: AbortSignal): Promise<void>;
}

/** Instances and the blanks they are made of: these have the memory that those leave. */
function openPool(
  { config, logs: allLogs, log, obtain, secrets }: WorkerDeps,
  parts: { host: SandboxHost; images: ImageStore; bases: BaseImages; volumes: WorkerVolumes; egress: FunctionEgress },
): InstancePool {
  const { images, bases, egress } = parts;
  const zygotes = config.pythonZygote === 'on' ? createZygotes({ ...parts, bases: () => bases.list(), log }) : null;
  const host = zygotes ?? parts.host;
  const plan = async (version: FunctionVersion) => {
    await obtain?.(version, images);
    const planned = await planInstance(version, images);
    const whole = { ...planned, spec: { ...planned.spec, ...egress.of(version) } };
    return withVolumes(whole, parts.volumes.of(version));
  };
  const logs = capInvocations(allLogs, config.logInvocationKb * 1024);
  const memoryBudgetMb = config.memoryMb ?? Math.floor(totalmem() / MIB / 2);
  const freeMb = () => memoryBudgetMb - pool.usedMb();
  const boots = createBootQueue({ atOnce: availableParallelism() });
  const blanks = createBlanks({
    host,
    images,
    getBase: (name) => bases.get(name),
    perBase: config.blanks,
    queue: boots,
    freeMb,
    log,
  });
  const pool = createPool({
    memoryBudgetMb,
    idleMs: config.idleMs,
    ...(config.keepAlive === 'learned' ? { keepAlive: createLearnedPolicy({ standardMs: config.idleMs }) } : {}),
    maxWaiting: MAX_WAITING,
    start: (version, isWanted) => startInstance(version, { host, logs, blanks, boots, log, plan, secrets }, isWanted),
    onStartFailed: ({ functionName, number }, err) =>
      log.warn({ function: functionName, version: number, err }, 'an instance that no call waits for did not start'),
  });
  const closePool = async (signal: AbortSignal) => {
    await Promise.all([pool.close(signal), blanks.close()]);
    await zygotes?.close();
  };
  return { pool, blanks, memoryBudgetMb, closePool };
}

const answers = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => true,
    () => false,
  );

const assertWith =
  (volumes: WorkerVolumes, { config: { egress }, assertFollowers }: WorkerDeps): DeployerDeps['assertConfig'] =>
  async (config) => {
    assertEgress(config, egress);
    volumes.assertMounts(config);
    await assertFollowers?.(config);
  };

/** What the volumes hold ends with what the layers hold: when the sandbox is gone. */
function withVolumes(plan: InstancePlan, volumes: InstanceVolumes | undefined): InstancePlan {
  if (volumes === undefined) return plan;
  const release = () => {
    volumes.close();
    plan.lease.release();
  };
  return { ...plan, volumes, lease: { release } };
}

/** ADD fetches the way that this host reaches the internet. */
const openImageBuilds = (env: NodeJS.ProcessEnv, parts: Omit<ImageBuildsDeps, 'remotes'>) =>
  createImageBuilds({ ...parts, remotes: createRemoteFiles({ proxies: readProxies(env) }) });

/** `layers`, `work` and `volumes` are walked by other host ids (the sandboxes'); what keeps others out is the 0700 data directory above. */
async function makeDirectories(paths: ReturnType<typeof dataPaths>, tmpDir: string): Promise<void> {
  await mkdir(paths.store, { recursive: true, mode: 0o711 });
  await mkdir(paths.layers, { recursive: true, mode: 0o711 });
  await mkdir(paths.work, { recursive: true, mode: 0o711 });
  await mkdir(paths.volumes, { recursive: true, mode: 0o711 });
  await mkdir(tmpDir, { recursive: true, mode: 0o700 });
}

function openHost(
  { config, packageRoot, runDir, log }: WorkerDeps,
  paths: ReturnType<typeof dataPaths>,
): Promise<SandboxHost> {
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

function openStore(host: SandboxHost, dir: string, log: Log): Promise<ImageStore> {
  const unpacker: LayerUnpacker = {
    unpack: (name, tar, signal) => host.unpack(name, tar, signal === undefined ? {} : { signal }),
    remove: (name) => host.removeLayer(name),
  };
  return openImageStore({ dir, unpacker, log });
}

/** After a crash: uppers of builds, half-made layers, images and blobs that nothing refers to. */
async function removeLeftOvers(
  host: SandboxHost,
  images: ImageStore,
  paths: ReturnType<typeof dataPaths>,
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

function afterPublish(version: FunctionVersion, pool: Pool<Instance>, blanks: Blanks): void {
  blanks.use(version);
  // Older versions serve their calls in flight to the end, then make room.
  void pool.replace(version);
}

/** What is kept warm follows `live`. */
async function moveAlias(
  functions: FunctionStore,
  { pool, blanks }: { pool: Pool<Instance>; blanks: Blanks },
  move: Parameters<FunctionStore['setAlias']>,
): Promise<FunctionRecord> {
  const record = await functions.setAlias(...move);
  const [name, alias, version] = move;
  if (alias === LIVE_ALIAS) {
    const live = await functions.resolve(name, { version });
    void pool.keepWarm(live);
    blanks.use(live);
  }
  return record;
}

async function keepWarm(functions: FunctionStore, pool: Pool<Instance>, blanks: Blanks): Promise<void> {
  for (const { name } of await functions.list()) {
    const version = await functions.resolve(name);
    void pool.keepWarm(version);
    blanks.use(version);
  }
}
