/**
 * The long campaigns, with their figures.
 *   npm run faults -- [--runs N] [--seed S] [--seconds T]   processes are killed; exits with 1 when anything was lost
 *   npm run faults -- --overload [--seconds T]              five times the capacity; exits with 1 when a bound was passed
 */
import { parseArgs } from 'node:util';
import { openCluster } from '../helpers/cluster.ts';
import { startTestPlatform } from '../helpers/platform.ts';
import { campaign, percentile, type RunReport } from './durable/campaign.ts';
import { deployLimited, type LoadReport, load, MAX_PENDING, removeLimited } from './overload/campaign.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string' },
    overload: { type: 'boolean', default: false },
  },
});
const print = (line: string) => process.stdout.write(`${line}\n`);

function show({ seed, accepted, unanswered, attempts, lost, twice, counts, recoveryMs }: RunReport): void {
  const wreckage = Object.entries(counts)
    .map(([what, times]) => `${what} ${times}x`)
    .join(', ');
  print(
    `seed ${seed}: ${accepted} accepted, ${unanswered} given up, ${attempts} attempts, ${lost.length} lost, ${twice.length} twice; ` +
      `recovery p99 ${(percentile(recoveryMs, 0.99) / 1000).toFixed(1)} s of ${recoveryMs.length}; ${wreckage}`,
  );
  for (const id of [...lost, ...twice]) print(`  ${id}`);
}

async function breakThings(seconds: number): Promise<boolean> {
  const cluster = await openCluster({ WAFER_KEEP_RECORDS: '1000000' });
  try {
    const seed = Number(values.seed);
    const reports = await campaign(cluster, { runs: Number(values.runs), seed, forMs: seconds * 1000, onRun: show });
    const sum = (pick: (report: RunReport) => number) => reports.reduce((all, report) => all + pick(report), 0);
    const recovery = reports.flatMap((report) => report.recoveryMs);
    print(
      `${reports.length} runs from seed ${seed}: ${sum((one) => one.accepted)} accepted, ${sum((one) => one.attempts)} attempts, ` +
        `${sum((one) => one.lost.length)} lost, ${sum((one) => one.twice.length)} with two outcomes, ` +
        `recovery p50 ${(percentile(recovery, 0.5) / 1000).toFixed(1)} s, p99 ${(percentile(recovery, 0.99) / 1000).toFixed(1)} s`,
    );
    return sum(({ lost, twice }) => lost.length + twice.length) === 0;
  } finally {
    await cluster.close();
  }
}

/** At capacity first: what its times are compared with. */
async function overload(seconds: number): Promise<boolean> {
  const wafer = await startTestPlatform({ WAFER_KEEP_RECORDS: '1000000' });
  try {
    await deployLimited(wafer);
    await load(wafer, 1, Math.min(5, seconds)); // compilers come to rest
    const [full, over] = [await load(wafer, 1, seconds), await load(wafer, 5, seconds)];
    for (const report of [full, over]) showLoad(report);
    const ratio = over.p99Ms / full.p99Ms;
    print(`p99 of what was taken: ${ratio.toFixed(2)} x that at capacity (to reach: <= 2)`);
    await removeLimited(wafer);
    return over.mostPending <= MAX_PENDING && over.withoutRetryAfter + over.failed === 0;
  } finally {
    await wafer.stop();
  }
}

function showLoad({ perSecond, sent, accepted, refused, p99Ms, mostPending, memoryMb, ...rest }: LoadReport): void {
  const refusals = Object.entries(refused).map(([status, count]) => `${count} x ${status}`);
  print(
    `${perSecond} calls/s: ${sent} sent, ${accepted} taken (${rest.failed} failed), refused ${refusals.join(', ') || 'none'} ` +
      `(${rest.withoutRetryAfter} without Retry-After); p99 ${p99Ms.toFixed(0)} ms; at most ${mostPending} of ${MAX_PENDING} pending; ` +
      `platform ${memoryMb.before.toFixed(0)} MB before, ${memoryMb.most.toFixed(0)} MB at most`,
  );
}

const isGood = values.overload
  ? await overload(Number(values.seconds ?? 60))
  : await breakThings(Number(values.seconds ?? 15));
process.exitCode = isGood ? 0 : 1;
