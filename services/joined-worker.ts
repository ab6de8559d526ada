/**
 * One more worker: `wafer worker`. It has an engine, a store and sandboxes of its own, takes accepted calls
 * from the queue of a platform, and brings the images of their versions from its registry. It serves nothing.
 */
import type { EngineInfo } from '../runtime/sandbox/index.ts';
import { createCloser } from './closer.ts';
import type { Config } from './core/config.ts';
import { WaferError } from './core/errors.ts';
import type { FunctionVersion } from './core/functions/types.ts';
import type { Home } from './core/home.ts';
import type { Reference } from './core/images/reference.ts';
import { createRegistryClient, type RegistryClient } from './core/images/registry/client.ts';
import { readProxies } from './core/images/registry/proxies.ts';
import { pullImage } from './core/images/registry/pull.ts';
import type { Digest, ImageStore } from './core/images/types.ts';
import { remoteBodies } from './core/invocations/durable/remote-bodies.ts';
import { createLog, type Log } from './core/log.ts';
import { packageRoot } from './core/package-root.ts';
import { remoteSecrets } from './core/secrets/remote.ts';
import { openConsumer, openQueue } from './durable-calls.ts';
import { explainStart, lockDataDir, openRedis, openRunDir, openStores, refuseRoot } from './opening.ts';
import { followHomeSecrets } from './secrets.ts';
import { openWorker } from './worker/index.ts';

export interface JoinOptions {
  /** The platform that it works for. */
  home: Home;
  onProgress?: (text: string) => void;
  env?: NodeJS.ProcessEnv;
  log?: Log;
}

export interface JoinedWorker {
  readonly engine: EngineInfo;
  /** Lets running calls finish for a while, then ends everything. Idempotent. */
  close(): Promise<void>;
}

/** @throws WaferError with a hint when this host can not run it, or the platform can not be reached */
export async function joinAsWorker(config: Config, options: JoinOptions): Promise<JoinedWorker> {
  const { home, onProgress = () => {}, env = process.env } = options;
  const log = options.log ?? createLog({ level: config.logLevel });
  const closer = createCloser(log);
  try {
    refuseRoot();
    refuseEmbedded(config);
    await lockDataDir(config, closer);
    onProgress('Redis');
    const connection = await openRedis(config, log, closer);
    const { functions, logs, egressLog } = openStores(connection, log, closer, config);
    onProgress('Sandbox engine');
    const registry = homeRegistry(home, env);
    const runDir = await openRunDir(config, closer);
    const obtain = obtainFrom(home, registry);
    const secrets = closer.keep(followHomeSecrets({ redis: connection.redis, log }, remoteSecrets(home)));
    const shared = { functions, logs, egressLog, log, env, registry, secrets: secrets.here, obtain };
    const parts = { config, runDir, packageRoot: packageRoot(), ...shared };
    const worker = await openWorker(parts);
    closer.onClose(() => worker.close(AbortSignal.timeout(config.drainMs)));
    // Blanks are made of them, and every version stands on one.
    await worker.bases.bring(async (name) => {
      onProgress(`base image ${name}`);
      return (await pullImage(worker.images, registry, referenceAt(home, name, null), pullOptions())).image;
    });
    const queue = closer.keep(openQueue(connection.redis));
    const { dispatcher } = worker;
    const bodies = remoteBodies(home);
    closer.keep(await openConsumer(config, { redis: connection.redis, queue, bodies, dispatcher, functions, log }));
    return { engine: worker.engine(), close: closer.close };
  } catch (error) {
    await closer.close();
    throw explainStart(error);
  }
}

function refuseEmbedded({ redisUrl, asyncConcurrency }: Config): void {
  if (redisUrl === null) {
    throw new WaferError('usage', 'A worker shares the Redis of its platform: WAFER_REDIS_URL is not set.', {
      hint: 'Start the platform with WAFER_REDIS_URL=redis://host:6379, and the worker with the same.',
    });
  }
  if (asyncConcurrency === 0)
    throw new WaferError('usage', 'A worker with WAFER_ASYNC_CONCURRENCY=0 has nothing to do.');
}

/** The key of the platform is the password of its registry. */
function homeRegistry({ url, key }: Home, env: NodeJS.ProcessEnv): RegistryClient {
  const { host, protocol } = new URL(url);
  const credentials = { get: async () => ({ username: 'worker', password: key }) };
  return createRegistryClient({ insecure: protocol === 'http:' ? [host] : [], credentials, proxies: readProxies(env) });
}

const referenceAt = (home: Home, repository: string, digest: Digest | null): Reference => ({
  registry: new URL(home.url).host,
  repository,
  tag: digest === null ? 'latest' : null,
  digest,
});

/** Two starts of one version bring it once. */
function obtainFrom(home: Home, registry: RegistryClient) {
  const coming = new Map<string, Promise<unknown>>();
  return async ({ functionName, image }: FunctionVersion, images: ImageStore): Promise<void> => {
    if ((await images.find(image)) !== null) return;
    const reference = referenceAt(home, `functions/${functionName}`, image as Digest);
    const pull =
      coming.get(image) ?? pullImage(images, registry, reference, pullOptions()).finally(() => coming.delete(image));
    coming.set(image, pull);
    await pull;
  };
}

const PULL_MS = 600_000;
const pullOptions = () => ({ onEvent: () => {}, signal: AbortSignal.timeout(PULL_MS) });
