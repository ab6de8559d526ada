/** What happens to the processes of a cluster, by a seed. */
import type { Random } from '../../bench/random.ts';
import type { Cluster } from '../../helpers/cluster.ts';

export interface Chaos {
  /** What was done, for the report. */
  counts: Record<string, number>;
  /** Epoch ms at which all of it was mended again. */
  endedAt: number;
}

const WORKERS = 2;

/** For so many ms; all processes run again when it resolves. */
export async function wreck(cluster: Cluster, random: Random, forMs: number): Promise<Chaos> {
  const counts: Record<string, number> = {};
  const until = Date.now() + forMs;
  while (Date.now() < until) {
    await pause(200 + random.exponential(600));
    const [name, act] = choose(cluster, random);
    counts[name] = (counts[name] ?? 0) + 1;
    await act();
  }
  return { counts, endedAt: Date.now() };
}

type Act = readonly [name: string, act: () => Promise<void>];

function choose(cluster: Cluster, random: Random): Act {
  const number = Math.floor(random.uniform() * WORKERS);
  const dice = random.uniform();
  if (dice < 0.4) return ['worker killed', () => restartWorker(cluster, number, random, 'SIGKILL')];
  if (dice < 0.55) return ['worker stopped and restarted', () => restartWorker(cluster, number, random, 'SIGTERM')];
  if (dice < 0.8) return ['worker stood still', () => standStill(cluster, number, random)];
  if (dice < 0.9) return ['API killed', () => restartPlatform(cluster)];
  return ['Redis killed', () => restartRedis(cluster)];
}

async function restartWorker(cluster: Cluster, number: number, random: Random, signal: 'SIGKILL' | 'SIGTERM') {
  const worker = cluster.workers[number];
  await (signal === 'SIGKILL' ? worker?.kill() : worker?.stop());
  await pause(random.exponential(500));
  await cluster.startWorker(number);
}

/** Longer than its locks, sometimes: another one has taken its calls by then. */
async function standStill(cluster: Cluster, number: number, random: Random) {
  const worker = cluster.workers[number];
  worker?.signal('SIGSTOP');
  await pause(500 + random.exponential(6_000));
  worker?.signal('SIGCONT');
}

async function restartPlatform(cluster: Cluster) {
  await cluster.platform().kill();
  await cluster.startPlatform();
}

async function restartRedis(cluster: Cluster) {
  await cluster.redis().kill();
  await cluster.startRedis();
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
