/**
 * The whole platform in one process: `wafer up`. What opens first closes last; a
 * start that fails closes what it had opened.
 */
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { EngineInfo } from '../runtime/sandbox/index.ts';
import { buildApp } from './api/app.ts';
import { listenError, startServer } from './api/server.ts';
import { type CallbackDeps, type OpenedCallbacks, openCallbacks } from './callbacks.ts';
import { loadAdminKey } from './core/auth/admin-key.ts';
import { type Config, dataPaths } from './core/config.ts';
import { lockDataDir } from './core/data-lock.ts';
import type { FunctionStore } from './core/functions/types.ts';
import { createFunctionImages } from './core/images/distribution/function-images.ts';
import { type Distribution, openDistribution } from './core/images/distribution/service.ts';
import { createImageService, type ImageService } from './core/images/index.ts';
import { createRegistryClient } from './core/images/registry/client.ts';
import { createCredentials } from './core/images/registry/credentials.ts';
import { readProxies } from './core/images/registry/proxies.ts';
import { createLog, type Log } from './core/log.ts';
import { packageRoot, packageVersion } from './core/package-root.ts';
import type { RedisConnection } from './core/store/connect.ts';
import type { Telemetry } from './core/telemetry.ts';
import { assertFollowers, createAddressGuard } from './core/triggers/callbacks/index.ts';
import { type OpenedDurableCalls, openDurableCalls } from './durable-calls.ts';
import { explainStart, makeDataDir, makeRunDir, openRedis, openStores, refuseRoot } from './opening.ts';
import { openSecretsHere } from './secrets.ts';
import { openTriggers, type TriggerDeps, type Triggers } from './triggers.ts';
import type { BaseProgress } from './worker/base-images/index.ts';
import { openWorker, type Worker } from './worker/index.ts';

export interface PlatformOptions {
  /** What the start is doing, for a person. */
  onProgress?: (text: string) => void;
  onBaseImage?: (progress: BaseProgress) => void;
  env?: NodeJS.ProcessEnv;
  log?: Log;
}

export interface Platform {
  readonly url: string;
  readonly adminKey: string;
  readonly engine: EngineInfo;
  /** Lets running calls finish for a while, then ends everything. Idempotent. */
  close(): Promise<void>;
}

const DRAIN_MS = 30_000;

/** @throws WaferError with a hint when this host can not run the platform */
export async function startPlatform(config: Config, options: PlatformOptions = {}): Promise<Platform> {
  const { onProgress = () => {}, onBaseImage = () => {}, env = process.env } = options;
  const log = options.log ?? createLog({ level: config.logLevel });
  const opened: (() => Promise<unknown>)[] = [];
  const close = once(async () => {
    for (const undo of opened.reverse()) await undo().catch((err: unknown) => log.error({ err }, 'closing failed'));
  });
  try {
    refuseRoot();
    await makeDataDir(config.dataDir);
    await assertPortFree(config);
    const lock = await lockDataDir(dataPaths(config.dataDir).lock);
    opened.push(() => lock.release());
    onProgress('Redis');
    const connection = await openRedis(config, log, opened);
    onProgress('Sandbox engine');
    const { telemetry, functions, logs, egressLog, invocations } = openStores(connection, log, opened, config);
    const registry = openRegistryAccess(config, env);
    const guard = createAddressGuard({ allowed: config.callbackHosts });
    const known = { functions, logs, egressLog, log, env };
    const { secrets, here, box } = await openSecretsHere(config, { redis: connection.redis, ...known }, opened);
    const assertNamed = bothOf(assertFollowers(guard), secrets.assertKnown);
    const shared = { ...known, registry: registry.client, secrets: here, assertFollowers: assertNamed };
    const worker = await openWorkerHere(config, shared, opened);
    await worker.prepareBases(onBaseImage);
    onProgress('API');
    const { key: adminKey } = await loadAdminKey(dataPaths(config.dataDir).adminKey);
    observe(telemetry, worker, functions);
    const imageService = await openImageService(config, worker, functions, registry);
    const distribution = await openDistributionHere(worker, log, opened);
    const durable = await openDurableHere(config, { redis: connection.redis, worker, log }, opened);
    telemetry.observe({ durable: () => durable.counts() });
    const triggers = openTriggersHere(config, { redis: connection.redis, functions, log, box, ...durable }, opened);
    const callbacks = openCallbacksHere(
      config,
      { redis: connection.redis, durable, functions, guard, box, log },
      opened,
    );
    const app = buildApp({
      ...servedBy(worker),
      imageService,
      distribution,
      invocations,
      ...servedOf(durable, triggers, callbacks),
      secrets,
      logs,
      egressLog,
      telemetry,
      log,
      ready: () => readiness(connection, worker),
      adminKey,
      version: packageVersion(),
      limits: { invokeBytes: config.maxEventKb * 1024 },
    });
    const server = await startServer(app, config);
    opened.push(() => server.close(DRAIN_MS));
    await worker.keepWarm();
    await durable.consume();
    triggers.start();
    callbacks.start();
    await worker.containers.resume();
    return { url: server.url, adminKey, close, engine: worker.engine() };
  } catch (error) {
    await close();
    throw explainStart(error);
  }
}

async function openDurableHere(
  config: Config,
  { redis, worker, log }: { redis: RedisConnection['redis']; worker: Worker; log: Log },
  opened: (() => Promise<unknown>)[],
): Promise<OpenedDurableCalls> {
  const { dispatcher, functions } = worker;
  const durable = await openDurableCalls(config, { redis, dispatcher, functions, log });
  opened.push(() => durable.close());
  return durable;
}

/** What the API takes of the worker as it is. */
function servedBy({ functions, deployer, dispatcher, images, imageBuilds, containers, volumes }: Worker) {
  return { functions, deployer, dispatcher, images, imageBuilds, volumes, containers: containers.containers };
}

/** And of what runs calls that it has accepted. */
const servedOf = (
  { calls: durable, again, bodies }: OpenedDurableCalls,
  { schedules, webhooks }: Triggers,
  { callbacks }: OpenedCallbacks,
) => ({ durable, again, bodies, schedules, webhooks, callbacks });

function openCallbacksHere(config: Config, deps: CallbackDeps, opened: (() => Promise<unknown>)[]): OpenedCallbacks {
  const callbacks = openCallbacks(config, deps);
  opened.push(() => callbacks.close());
  return callbacks;
}

function openTriggersHere(
  { maxEventKb }: Config,
  { redis, functions, log, calls, bodies, headroom, box }: Omit<TriggerDeps, 'maxEventBytes'>,
  opened: (() => Promise<unknown>)[],
): Triggers {
  const triggers = openTriggers({
    redis,
    functions,
    log,
    calls,
    bodies,
    headroom,
    box,
    maxEventBytes: maxEventKb * 1024,
  });
  opened.push(() => triggers.close());
  return triggers;
}

function openRegistryAccess({ dataDir, insecureRegistries: insecure }: Config, env: NodeJS.ProcessEnv) {
  const credentials = createCredentials(dataPaths(dataDir).registries);
  return { credentials, client: createRegistryClient({ insecure, credentials, proxies: readProxies(env) }) };
}

async function openImageService(
  { dataDir, defaultRegistry }: Config,
  { images: store, names, containers }: Worker,
  functions: FunctionStore,
  access: ReturnType<typeof openRegistryAccess>,
): Promise<ImageService> {
  const { loads } = dataPaths(dataDir);
  // What a crash left of archives that were being loaded.
  await rm(loads, { recursive: true, force: true });
  await mkdir(loads, { recursive: true, mode: 0o700 });
  const versions = async () =>
    (await Promise.all((await functions.list()).map(({ name }) => functions.versions(name)))).flat();
  return createImageService({
    store,
    ...access,
    defaultRegistry,
    names,
    versions,
    usersOf: containers.usersOf,
    tmpDir: loads,
  });
}

async function openDistributionHere(
  worker: Worker,
  log: Log,
  opened: (() => Promise<unknown>)[],
): Promise<Distribution> {
  const { images: store, names, functions, deployer } = worker;
  const functionImages = createFunctionImages({ functions, deployer });
  const distribution = await openDistribution({ store, names, functions: functionImages, log });
  opened.push(async () => distribution.close());
  return distribution;
}

function observe(telemetry: Telemetry, worker: Worker, functions: FunctionStore): void {
  telemetry.observe({
    instances() {
      const states = { starting: 0, idle: 0, busy: 0, ending: 0 };
      for (const instance of worker.pool.instances()) states[instance.state]++;
      return states;
    },
    blanks() {
      const sum = { ready: 0, booting: 0 };
      for (const { ready, booting } of worker.dispatcher.blanks()) {
        sum.ready += ready;
        sum.booting += booting;
      }
      return sum;
    },
    queued: () => worker.pool.waiting(),
    store: () => worker.images.usage(),
    functions: async () => (await functions.list()).length,
    engine: () => worker.engineStats(),
    ...worker.totals,
  });
}

/** Said before minutes of preparation; the real listen, later, is what counts. */
async function assertPortFree({ host, port }: Config): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(port, host, resolve)).catch(
    (cause: unknown) => {
      throw listenError(cause, { host, port });
    },
  );
  await new Promise((resolve) => probe.close(resolve));
}

type Shared = Pick<
  Parameters<typeof openWorker>[0],
  'functions' | 'logs' | 'egressLog' | 'log' | 'env' | 'registry' | 'secrets' | 'assertFollowers'
>;

async function openWorkerHere(config: Config, shared: Shared, opened: (() => Promise<unknown>)[]): Promise<Worker> {
  const preferred = dataPaths(config.dataDir).run;
  const runDir = await makeRunDir(preferred);
  // The lock is in the preferred one, and is given back last.
  if (runDir !== preferred) opened.push(() => rm(runDir, { recursive: true, force: true }));
  const worker = await openWorker({ config, runDir, packageRoot: packageRoot(), ...shared });
  opened.push(() => worker.close(AbortSignal.timeout(DRAIN_MS)));
  return worker;
}

const READY_MS = 2_000;

async function readiness(connection: RedisConnection, worker: Worker) {
  const late = () => new Promise<false>((resolve) => setTimeout(() => resolve(false), READY_MS).unref());
  const answers = (asked: Promise<unknown>) =>
    Promise.race([
      asked.then(
        () => true,
        () => false,
      ),
      late(),
    ]);
  const [redis, engine] = await Promise.all([
    answers(connection.redis.ping()),
    Promise.race([worker.healthy(), late()]),
  ]);
  const checks = [
    { name: 'redis', ok: redis, ...(redis ? {} : { message: `Redis at ${connection.where} does not answer.` }) },
    {
      name: 'engine',
      ok: engine,
      ...(engine
        ? { message: `limits ${worker.engine().limits}` }
        : { message: 'The sandbox engine does not answer.' }),
    },
  ];
  return { ok: redis && engine, checks };
}

/** Checks of settings, one after the other. */
const bothOf =
  <One, Other>(one: (file: One) => Promise<void>, other: (file: Other) => Promise<void>) =>
  async (file: One & Other) => {
    await one(file);
    await other(file);
  };

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= run();
    return running;
  };
}
