/**
 * The whole platform in one process: `wafer up`. What opens first closes last; a
 * start that fails closes what it had opened.
 */
import { createServer } from 'node:net';
import type { EngineInfo } from '../runtime/sandbox/index.ts';
import { buildApp } from './api/app.ts';
import { listenError, startServer } from './api/server.ts';
import { type Closer, createCloser } from './closer.ts';
import { loadAdminKey } from './core/auth/admin-key.ts';
import { type Config, dataPaths } from './core/config.ts';
import { createLog, type Log } from './core/log.ts';
import { packageRoot, packageVersion } from './core/package-root.ts';
import { assertFollowers, createAddressGuard } from './core/triggers/callbacks/index.ts';
import { openImageServices, openRegistryAccess } from './image-services.ts';
import { openLater } from './later.ts';
import { explainStart, lockDataDir, openRedis, openRunDir, openStores, refuseRoot } from './opening.ts';
import { observe, readiness } from './platform-status.ts';
import { openSecrets } from './secrets.ts';
import type { BaseProgress } from './worker/base-images/index.ts';
import { openWorker, type Worker, type WorkerDeps } from './worker/index.ts';

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

/** @throws WaferError with a hint when this host can not run the platform */
export async function startPlatform(config: Config, options: PlatformOptions = {}): Promise<Platform> {
  const log = options.log ?? createLog({ level: config.logLevel });
  const closer = createCloser(log);
  try {
    refuseRoot();
    await lockDataDir(config, closer, () => assertPortFree(config));
    return await openPlatform(config, { onProgress: () => {}, env: process.env, ...options, log }, closer);
  } catch (error) {
    await closer.close();
    throw explainStart(error);
  }
}

type Start = Required<Pick<PlatformOptions, 'onProgress' | 'env' | 'log'>> & Pick<PlatformOptions, 'onBaseImage'>;

async function openPlatform(config: Config, start: Start, closer: Closer): Promise<Platform> {
  const { onProgress, onBaseImage = () => {}, env, log } = start;
  onProgress('Redis');
  const connection = await openRedis(config, log, closer);
  const { redis } = connection;
  onProgress('Sandbox engine');
  const { telemetry, functions, logs, egressLog, invocations } = openStores(connection, log, closer, config);
  const registry = openRegistryAccess(config, env);
  const guard = createAddressGuard({ allowed: config.callbackHosts });
  const { secrets, here, box } = closer.keep(await openSecrets(config, { redis, functions, log, env }));
  const assertNamed = bothOf(assertFollowers(guard), secrets.assertKnown);
  const known = { functions, logs, egressLog, log, env };
  const deps = { ...known, registry: registry.client, secrets: here, assertFollowers: assertNamed };
  const worker = await openWorkerHere(config, deps, closer);
  await worker.prepareBases(onBaseImage);
  onProgress('API');
  const { key: adminKey } = await loadAdminKey(dataPaths(config.dataDir).adminKey);
  const images = await openImageServices(config, { worker, functions, registry, log }, closer);
  const later = await openLater(config, { redis, worker, functions, guard, box, log }, closer);
  observe(telemetry, worker, functions, later);
  const app = buildApp({
    ...servedBy(worker),
    ...images,
    ...later.served,
    invocations,
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
  closer.onClose(() => server.close(config.drainMs));
  await worker.keepWarm();
  await later.start();
  await worker.containers.resume();
  return { url: server.url, adminKey, close: closer.close, engine: worker.engine() };
}

type HereDeps = Omit<WorkerDeps, 'config' | 'runDir' | 'packageRoot'>;

async function openWorkerHere(config: Config, deps: HereDeps, closer: Closer): Promise<Worker> {
  const runDir = await openRunDir(config, closer);
  const worker = await openWorker({ config, runDir, packageRoot: packageRoot(), ...deps });
  closer.onClose(() => worker.close(AbortSignal.timeout(config.drainMs)));
  return worker;
}

/** What the API takes of the worker as it is. */
function servedBy({ functions, deployer, dispatcher, images, imageBuilds, containers, volumes }: Worker) {
  return { functions, deployer, dispatcher, images, imageBuilds, volumes, containers: containers.containers };
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

/** Checks of settings, one after the other. */
const bothOf =
  <One, Other>(one: (file: One) => Promise<void>, other: (file: Other) => Promise<void>) =>
  async (file: One & Other) => {
    await one(file);
    await other(file);
  };
