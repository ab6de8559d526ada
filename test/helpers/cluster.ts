/** A platform that runs nothing that is accepted, an external Redis, and workers that joined: each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { removeData } from './data-dir.ts';
import { CLI } from './paths.ts';
import { startTestPlatform, type TestPlatform } from './platform.ts';
import { until } from './until.ts';

export interface OwnProcess {
  readonly pid: number;
  output(): string;
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL and wait. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface Cluster {
  platform(): TestPlatform;
  redis(): OwnProcess;
  workers: OwnProcess[];
  startRedis(): Promise<void>;
  startPlatform(): Promise<void>;
  /** On its own data directory, which is the same for the same number. */
  startWorker(number: number): Promise<OwnProcess>;
  close(): Promise<void>;
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

function start(command: string, args: string[], options: { env?: NodeJS.ProcessEnv; cwd?: string }): OwnProcess {
  const child: ChildProcess = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGCONT');
    child.kill(signal);
    await closed;
  };
  return {
    pid: child.pid ?? 0,
    output: () => text,
    signal: (signal) => void child.kill(signal),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

/** `settings`: of the platform and the workers. */
export async function openCluster(settings: Record<string, string> = {}): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-cluster-'));
  const [redisPort, apiPort] = [await freePort(), await freePort()];
  const redisUrl = `redis://127.0.0.1:${redisPort}`;
  let redis: OwnProcess | undefined;
  let platform: TestPlatform | undefined;
  const workers: OwnProcess[] = [];
  const cluster: Cluster = {
    platform: () => platform as TestPlatform,
    redis: () => redis as OwnProcess,
    workers,
    async startRedis() {
      const flags = [
        '--appendonly',
        'yes',
        '--appendfsync',
        'always',
        '--maxmemory-policy',
        'noeviction',
        '--save',
        '',
      ];
      redis = start('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', ...flags], { cwd: dir });
      const probe = new Redis(redisUrl, { lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: null });
      probe.on('error', () => {}); // not up yet
      await probe.connect().catch(() => {});
      await until('Redis answers', async () => (await probe.ping().catch(() => '')) === 'PONG');
      probe.disconnect();
    },
    async startPlatform() {
      platform = await startTestPlatform({
        WAFER_REDIS_URL: redisUrl,
        WAFER_PORT: String(apiPort),
        WAFER_ASYNC_CONCURRENCY: '0',
        ...settings,
      });
    },
    async startWorker(number) {
      const { url, key } = cluster.platform();
      const worker = start(process.execPath, [CLI, 'worker'], {
        env: {
          ...process.env,
          WAFER_DATA: join(dir, `worker-${number}`),
          WAFER_URL: url,
          WAFER_KEY: key,
          WAFER_REDIS_URL: redisUrl,
          WAFER_LOG_LEVEL: 'warn',
          NO_COLOR: '1',
          ...settings,
        },
      });
      workers[number] = worker;
      await until(`worker ${number} has joined`, () => {
        if (worker.output().includes('works for')) return true;
        if (worker.output().includes('error:')) throw new Error(worker.output());
        return false;
      });
      return worker;
    },
    async close() {
      for (const worker of workers) await worker?.stop();
      await platform?.stop();
      await redis?.stop();
      for (const number of workers.keys()) await removeData(join(dir, `worker-${number}`));
      await rm(dir, { recursive: true, force: true });
    },
  };
  try {
    await cluster.startRedis();
    await cluster.startPlatform();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}
