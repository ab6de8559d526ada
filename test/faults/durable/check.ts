/** What was promised against what became of it: by the records, and by what the function itself wrote down. */
import type { Invocation } from '../../../services/core/invocations/view.ts';
import type { TestPlatform } from '../../helpers/platform.ts';
import { until } from '../../helpers/until.ts';
import type { Promised } from './client.ts';

export interface Findings {
  accepted: number;
  /** Promised, and not ended, or with a wrong outcome or result: ids, each with what there is instead. */
  lost: string[];
  /** Ended twice, or seen with two outcomes. */
  twice: string[];
  /** Attempts that the function saw. */
  attempts: number;
  /** ms from acceptance, or from when all was mended, to the end. */
  recoveryMs: number[];
}

const PATIENCE_MS = 240_000;
const FINAL: readonly string[] = ['succeeded', 'failed', 'cancelled', 'expired'];

/** `mendedAt`: when all processes ran again. */
export async function check(
  wafer: TestPlatform,
  name: string,
  ledger: readonly Promised[],
  mendedAt: number,
): Promise<Findings> {
  const findings: Findings = { accepted: ledger.length, lost: [], twice: [], attempts: 0, recoveryMs: [] };
  const ids = new Set(ledger.map(({ id }) => id));
  if (ids.size < ledger.length) findings.twice.push('one id for two promises');
  for (const { id, number, acceptedAt } of ledger) {
    const record = await ended(wafer, id).catch((error: unknown) => {
      findings.lost.push(`${id}: ${error}`);
      return null;
    });
    if (record === null) continue;
    const wrong = await findWrong(wafer, record, number);
    if (wrong !== null) findings.lost.push(`${id}: ${wrong}`);
    const ends = record.timeline?.filter(({ event }) => FINAL.includes(event)) ?? [];
    if (ends.length !== 1) findings.twice.push(id);
    if (!(await staysAsItIs(wafer, record))) findings.twice.push(id);
    findings.attempts += record.attempts;
    const finishedAt = record.finishedAt ?? 0;
    if (finishedAt > mendedAt) findings.recoveryMs.push(finishedAt - Math.max(acceptedAt, mendedAt));
  }
  await findUnpromised(wafer, name, ids, findings);
  return findings;
}

async function read(wafer: TestPlatform, id: string): Promise<Invocation> {
  const response = await wafer.fetch(`/v1/invocations/${id}`);
  if (response.status !== 200) throw new Error(`${id}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Invocation;
}

const ended = (wafer: TestPlatform, id: string) =>
  until(
    `${id} has ended`,
    async () => {
      const record = await read(wafer, id);
      return FINAL.includes(record.state) && record;
    },
    PATIENCE_MS,
  );

/** Every seventh fails for good; the others answer with their own number. */
async function findWrong(wafer: TestPlatform, record: Invocation, number: number): Promise<string | null> {
  const found = `${record.state}, ${JSON.stringify(record.outcome)}, ${JSON.stringify(record.timeline)}`;
  if (number % 7 === 0) return record.state === 'failed' && record.outcome?.kind === 'function_error' ? null : found;
  if (record.state !== 'succeeded') return found;
  const result = await wafer.fetch(`/v1/invocations/${record.id}/result`);
  const text = await result.text();
  if (result.status === 200 && (JSON.parse(text) as { number: number }).number === number) return null;
  return `the result is ${result.status} ${text.slice(0, 200)}`;
}

async function staysAsItIs(wafer: TestPlatform, before: Invocation): Promise<boolean> {
  const now = await read(wafer, before.id);
  return (
    JSON.stringify([now.state, now.outcome, now.result]) ===
    JSON.stringify([before.state, before.outcome, before.result])
  );
}

/** The function's own ledger: whatever it wrote a line for must be an invocation that is known, and has ended. */
async function findUnpromised(wafer: TestPlatform, name: string, ids: Set<string>, findings: Findings): Promise<void> {
  const response = await wafer.fetch(`/v1/functions/${name}/logs?limit=99999`, {
    headers: { accept: 'application/x-ndjson' },
  });
  const seen = new Set([...(await response.text()).matchAll(/ran (inv_[0-9a-z]{26})/g)].map(([, id]) => id ?? ''));
  for (const id of seen) {
    // The answer was lost on its way: accepted, though the client does not know it.
    if (!ids.has(id) && !FINAL.includes((await ended(wafer, id)).state)) findings.lost.push(id);
  }
}
