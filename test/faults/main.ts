/** `npm run faults -- --runs N --seed S`: the long campaign, with its figures. Exits with 1 when anything was lost. */
import { parseArgs } from 'node:util';
import { openCluster } from '../helpers/cluster.ts';
import { campaign, percentile, type RunReport } from './durable/campaign.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '15' },
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

const cluster = await openCluster();
try {
  const seed = Number(values.seed);
  const options = { runs: Number(values.runs), seed, forMs: Number(values.seconds) * 1000, onRun: show };
  const reports = await campaign(cluster, options);
  const sum = (pick: (report: RunReport) => number) => reports.reduce((all, report) => all + pick(report), 0);
  const recovery = reports.flatMap((report) => report.recoveryMs);
  const bad = sum(({ lost, twice }) => lost.length + twice.length);
  print(
    `${reports.length} runs from seed ${seed}: ${sum((one) => one.accepted)} accepted, ${sum((one) => one.attempts)} attempts, ` +
      `${sum((one) => one.lost.length)} lost, ${sum((one) => one.twice.length)} with two outcomes, ` +
      `recovery p50 ${(percentile(recovery, 0.5) / 1000).toFixed(1)} s, p99 ${(percentile(recovery, 0.99) / 1000).toFixed(1)} s`,
  );
  process.exitCode = bad === 0 ? 0 : 1;
} finally {
  await cluster.close();
}
