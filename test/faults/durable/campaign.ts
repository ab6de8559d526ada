/** Seeded runs: a client submits while processes are killed, stopped and restarted; then the books are compared. */
import { createRandom } from '../../bench/random.ts';
import type { Cluster } from '../../helpers/cluster.ts';
import { wreck } from './chaos.ts';
import { check, type Findings } from './check.ts';
import { startClient } from './client.ts';

export interface RunReport extends Findings {
  seed: number;
  counts: Record<string, number>;
  unanswered: number;
}

export interface CampaignOptions {
  runs: number;
  seed: number;
  /** Of wreckage in each run. */
  forMs: number;
  onRun: (report: RunReport) => void;
}

const NAME = 'faults';
const PER_SECOND = 15;

const CODE = `
class NonRetryableError extends Error { get name() { return 'NonRetryableError'; } }
export async function handler({ number, hold, fail, large }, context) {
  console.log('ran ' + context.invocationId + ' attempt ' + context.attempt);
  await new Promise((done) => setTimeout(done, hold));
  if (fail) throw new NonRetryableError('as it was asked to');
  return { number, large };
}`;

/** The cluster has its platform and Redis; the workers are started here. */
export async function campaign(cluster: Cluster, { runs, seed, forMs, onRun }: CampaignOptions): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  await cluster.platform().deploy(NAME, { 'index.mjs': CODE });
  for (const number of [0, 1]) await cluster.startWorker(number);
  for (let run = 0; run < runs; run++) {
    const random = createRandom(seed + run);
    const client = startClient(() => cluster.platform(), NAME, createRandom((seed + run) ^ 0x5eed), PER_SECOND);
    const { counts, endedAt } = await wreck(cluster, random, forMs);
    await client.stop();
    const findings = await check(cluster.platform(), NAME, client.ledger, endedAt);
    const report = { seed: seed + run, counts, unanswered: client.unanswered, ...findings };
    reports.push(report);
    onRun(report);
  }
  await cluster.platform().remove(NAME);
  return reports;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
