/**
 * A real engine on the test data directory, with the base images in place. The platform
 * of the end-to-end tests makes them once; here they are only looked up, or made.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LimitMode, openSandboxHost, type SandboxHost } from '../../runtime/sandbox/index.ts';
import { readConfig } from '../../services/core/config.ts';
import type { FunctionStore } from '../../services/core/functions/types.ts';
import { createRegistryClient } from '../../services/core/images/registry/client.ts';
import { createCredentials } from '../../services/core/images/registry/credentials.ts';
import { createLog } from '../../services/core/log.ts';
import { createSecretFeed } from '../../services/core/secrets/feed.ts';
import type { BaseImage } from '../../services/worker/base-images/index.ts';
import { openWorker } from '../../services/worker/index.ts';
import { ROOT } from './paths.ts';
import { TEST_DATA } from './test-data.ts';

export interface TestHost {
  host: SandboxHost;
  base: (name: string) => BaseImage;
  workDir: string;
  volumesDir: string;
  /** One more engine on the same directories; the caller closes it. */
  openHost(): Promise<SandboxHost>;
  close(): Promise<void>;
}

const noFunctions = { list: async () => [] } as unknown as FunctionStore;

/** Layers come from the worker's store; sandboxes of the test run in an engine of their own. */
export async function openTestHost(options: { limits?: 'auto' | LimitMode } = {}): Promise<TestHost> {
  const config = readConfig({ ...process.env, WAFER_DATA: TEST_DATA, WAFER_LOG_LEVEL: 'warn' });
  await mkdir(TEST_DATA, { recursive: true, mode: 0o700 });
  const runDir = await mkdtemp(join(tmpdir(), 'wafer-test-'));
  const log = createLog({ level: 'warn' });
  const workerRun = join(runDir, 'worker');
  await mkdir(workerRun, { mode: 0o700 });
  const worker = await openWorker({
    config,
    packageRoot: ROOT,
    runDir: workerRun,
    functions: noFunctions,
    logs: { write() {} },
    egressLog: { write() {} },
    secrets: { reader: { read: async () => [] }, feed: createSecretFeed() },
    registry: createRegistryClient({ insecure: [], credentials: createCredentials(join(runDir, 'registries.json')) }),
    log,
    env: process.env,
  });
  await worker.prepareBases(() => {});
  const bases = new Map(worker.bases.list().map((one) => [one.name, one]));
  await worker.close(AbortSignal.abort());
  const workDir = join(TEST_DATA, 'work');
  const volumesDir = join(TEST_DATA, 'volumes');
  const openHost = async () =>
    openSandboxHost({
      enginePath: join(ROOT, 'runtime/engine/build/wafer-engine'),
      languagesDir: join(ROOT, 'runtime/languages'),
      layersDir: join(TEST_DATA, 'store/layers'),
      workDir,
      volumesDir,
      runDir: await mkdtemp(join(runDir, 'host-')),
      ...options,
    });
  const host = await openHost();
  return {
    host,
    openHost,
    workDir,
    volumesDir,
    base(name) {
      const found = bases.get(name);
      if (found === undefined) throw new Error(`no base image ${name}`);
      return found;
    },
    async close() {
      await host.close();
      await rm(runDir, { recursive: true, force: true });
    },
  };
}
