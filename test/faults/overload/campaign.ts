/**
 * More calls than there is capacity for: what is taken keeps its time, the rest is told when to come again, and
 * nothing grows. Capacity is made by the function's own settings, so it is the same on any machine.
 */
import { cpus } from 'node:os';
import type { Invocation } from '../../../services/core/invocations/view.ts';
import { runOpenLoop } from '../../bench/open-loop.ts';
import { privateBytes } from '../../bench/procfs.ts';
import { summarize } from '../../bench/stats.ts';
import type { TestPlatform } from '../../helpers/platform.ts';
import { until } from '../../helpers/until.ts';

export interface LoadReport {
  perSecond: number;
  sent: number;
  accepted: number;
  /** By status. */
  refused: Record<string, number>;
  /** Refusals that do not say when to come again. */
  withoutRetryAfter: number;
  /** Accepted calls, from the request that was accepted to their end, ms. */
  p99Ms: number;
  /** Accepted calls that did not succeed. */
  failed: number;
  /** The most that had not ended at any look, without what others had accepted before. */
  mostPending: number;
  /** The platform's own process, MB. */
  memoryMb: { before: number; most: number };
}

const NAME = 'overload';
const AT_ONCE = 4;
const HOLD_MS = 100;
export const MAX_PENDING = 3 * AT_ONCE;
/** Calls a second that its settings let through. */
export const CAPACITY = (AT_ONCE * 1000) / HOLD_MS;
const LOOK_EVERY_MS = 250;
const MB = 1024 * 1024;

const CODE = `export const handler = () => new Promise((done) => setTimeout(() => done('done'), ${HOLD_MS}));`;

export async function deployLimited(wafer: TestPlatform): Promise<void> {
  const queue = { concurrency: AT_ONCE, maxPending: MAX_PENDING };
  await wafer.deploy(
    NAME,
    { 'index.mjs': CODE },
    { memoryMb: 64, queue, minInstances: Math.min(AT_ONCE, cpus().length) },
  );
}

export const removeLimited = (wafer: TestPlatform) => wafer.remove(NAME);

/** An open loop of so many times the capacity, and what became of what was taken. */
export async function load(wafer: TestPlatform, times: number, seconds: number): Promise<LoadReport> {
  const perSecond = CAPACITY * times;
  const ids: string[] = [];
  const refused: Record<string, number> = {};
  let withoutRetryAfter = 0;
  const watch = await watchGrowth(wafer);
  const call = async () => {
    const response = await wafer.fetch(`/v1/functions/${NAME}/async`, {
      method: 'POST',
      body: '{}',
      headers: JSON_TYPE,
    });
    const answer = (await response.json()) as { id: string };
    if (response.status === 202) return ids.push(answer.id) > 0 ? 'accepted' : '';
    refused[response.status] = (refused[response.status] ?? 0) + 1;
    if (!(Number(response.headers.get('retry-after')) > 0)) withoutRetryAfter++;
    return String(response.status);
  };
  const { sent } = await runOpenLoop({ rate: perSecond, seconds, call });
  const records = await Promise.all(ids.map((id) => ended(wafer, id)));
  const growth = await watch.stop();
  const durations = records.map(({ durationMs }) => durationMs);
  return {
    perSecond,
    sent,
    accepted: ids.length,
    refused,
    withoutRetryAfter,
    p99Ms: summarize(durations).p99,
    failed: records.filter(({ state }) => state !== 'succeeded').length,
    ...growth,
  };
}

const JSON_TYPE = { 'content-type': 'application/json' };

const ended = (wafer: TestPlatform, id: string) =>
  until(`${id} has ended`, async () => {
    const record = (await (await wafer.fetch(`/v1/invocations/${id}`)).json()) as Invocation;
    return record.finishedAt !== undefined && record;
  });

async function watchGrowth(wafer: TestPlatform) {
  const memory: number[] = [];
  const pending: number[] = [];
  const look = async () => {
    memory.push((await privateBytes(wafer.pid)) / MB);
    const text = await (await wafer.fetch('/metrics')).text();
    pending.push(Number(/^wafer_async_calls\{place="pending"\} (\d+)/m.exec(text)?.[1] ?? Number.NaN));
  };
  await look();
  let isStopped = false;
  const running = (async () => {
    while (!isStopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await running;
      const memoryMb = { before: memory[0] ?? Number.NaN, most: Math.max(...memory) };
      return { mostPending: Math.max(...pending) - (pending[0] ?? Number.NaN), memoryMb };
    },
  };
}
